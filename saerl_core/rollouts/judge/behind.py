"""The unit in words that stands behind a box or a number: "km", "million dollars", "km/h", "square metres"."""

import re

from saerl_core.rollouts.judge.units import SCALES, is_unit_word

_WORD = re.compile(r"\s*([A-Za-z]+\.?(?:[A-Za-z]\.)?)(?![-\w]|'[a-z])")
_POWER = re.compile(r"\^\s*\{?-?[1-9]\}?|[\u00b2\u00b3]")
_RAISED = re.compile(r"\s+(squared|cubed)\b")
_JOINT = re.compile(r"\s*/\s*|\s+per\s+")
_INCH = re.compile(r"\s*in\b(?=\s*(?:[.,;]?\s*\Z|[.;)$]|\^|\u00b2|\u00b3))")
_LETTER = re.compile(r"(\s+)([mgshlLNJWVK])(?=\s*(?:[.,;:)$]|\Z|/\s*[a-z]|\^|\u00b2|\u00b3)|\s+[a-z]{2})")
_CHINESE = re.compile(r"\s*((?:平方|立方)?(?:毫米|厘米|分米|千米|公里|米|千克|公斤|克|秒|分钟|小时|天|毫升|升|元|度))")
_REMARK = re.compile(r"\s*\((?:in\s+)?([^()]*)\)")
_SECOND_PART = re.compile(r"\s*(?:,|and|,\s*and)?\s*\$?\d+(?:\.\d+)?\$?\s*([A-Za-z]+)")
_UNSAID = frozenset(("pound", "pounds", "in", "second", "degree", "sq"))  # money or weight; or an ordinary word


def unit_behind(text: str) -> str:
    r"""Return the unit that the text begins with, as LaTeX that the reader takes (`\text{ km}`); "" without one.

    A second quantity behind it ("2 hours and 30 minutes") makes one that nobody reads.
    """
    if (remark := _REMARK.match(text)) is not None:
        return unit_behind(f" {remark[1]}")
    if (inch := _INCH.match(text)) is not None:
        return r"\text{ inches}" + _power(text, inch.end())
    if (chinese := _CHINESE.match(text)) is not None:
        return rf"\text{{{chinese[1]}}}"
    if (letter := _LETTER.match(text)) is not None:
        found, at = letter[2], letter.end()
    else:
        found, at = _words(text)
    if not found:
        return ""
    raised = _power(text, at)
    at += len(raised)
    while (joint := _JOINT.match(text, at)) is not None and (other := _one(text, joint.end())) is not None:
        found, at = f"{found}{raised}/{other[0]}", other[1]
        raised = ""
    second = _SECOND_PART.match(text, at)
    if second is not None and is_unit_word(second[1]):
        found += " and more"
    return rf"\text{{ {found}}}{raised}"


def _words(text: str) -> tuple[str, int]:
    """Return the words of the unit and where they end: scales, powers, one unit."""
    found: list[str] = []
    at = 0
    while (one := _one(text, at)) is not None:
        found.append(one[0])
        at = one[1]
        if one[0].lower() not in (*SCALES, "square", "cubic", "sq", "cu"):
            break
    if found and found[-1].lower() in ("square", "cubic", "sq", "cu", *_UNSAID):
        return "", 0
    if found and (raising := _RAISED.match(text, at)) is not None:
        return f"{' '.join(found)} {raising[1]}", raising.end()
    return " ".join(found), at


def _one(text: str, at: int) -> tuple[str, int] | None:
    word = _WORD.match(text, at)
    if word is None or (len(word[1].rstrip(".")) == 1 and at == 0):
        return None
    name = word[1] if word[1].endswith(".m.") else word[1].rstrip(".")
    known = is_unit_word(name) or name.lower() in SCALES or name.lower() == "percent"
    return (name, word.start(1) + len(name)) if known and name.lower() not in _UNSAID - {"sq"} else None


def _power(text: str, at: int) -> str:
    power = _POWER.match(text, at)
    return power[0] if power is not None else ""
