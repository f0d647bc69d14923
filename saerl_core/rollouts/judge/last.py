"""The last value of a line without any mark of its answer, where its place in the sentence shows that it is one.

What may stand in front of it is a positive list: nothing, an equals sign, a colon, a word. An operator, a bracket, a
function, another number or a name in front makes it a part of something else.
"""

import re

from saerl_core.rollouts.judge import doubts
from saerl_core.rollouts.judge.behind import unit_behind
from saerl_core.rollouts.judge.units import is_unit_word
from saerl_core.rollouts.judge.vocabulary import PLAIN_FUNCTIONS, words

FORMULA = re.compile(r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
ONE = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_.,/^])(?:\\?[$€£¥]\s?)?[-\u2212\u2013]?(?:\\?[$€£¥]\s?)?{ONE}(?:\s\d+/\d+"
    rf"|\s?/\s?{ONE})?(?:\s?\\?%|\s?percent)?"
    rf"(?:\s[ap]\.?m\b\.?)?(?![\w^/]*[A-Za-z_^]\d)(?!\.\d|,\d|:\d)"
)
_REMARK = re.compile(r"\b(?:check|note|verification|verify|remark|proof)\s*:.*", re.IGNORECASE | re.DOTALL)
_ASIDE = re.compile(r"(?<![\w\\])\((?=[^()]*[A-Za-z]{2})[^()]*\)|<<[^<>]*>>")
_AROUND = " \t$*\"'`\u201c\u201d\u2018\u2019"
_EQUALS = re.compile(
    r"(?<![<>!/\u2260])(?<!\\not)(?:=|\uff1d|\\?[$]=)\Z|(?<!\d)(?<!\d )(?:->|=>|\u2192|\u21d2|\\Rightarrow"
    r"|\\implies)\Z"
)
_COLON = re.compile(r"(?<!\d)(?<!\d )[:\uff1a]\Z|(?<![.])[;.!?\u3002]\Z")
_WORD = re.compile(r"([^\W\d_]+(?:['\u2019-][^\W\d_]+)*)(,?)\Z")
_BULLET = re.compile(r"\s*(?:[-*+\u2022]|\d{1,2}[.)]|\([a-z0-9]\))\s[\s$*\"'`]*")
_LABELS = words(
    "page theorem lemma step problem question example chapter figure case equation exercise section line row column "
    "item part number no mod every each per than nearly "
    "almost about approximately around over past plus minus until till "
    "roughly circa under below above beyond within"
)
_MEASURED = re.compile(
    r"\d[^.;:=]{0,24}\b(?:and|to|through|from|minus|plus|by|with)\Z|\d\s+(?:out of|of|in|vs\.?|versus|then)\Z"
    r"|\b(?:divid|multipl)\w*\b[^.;=]*\bby\Z"
)
_VALUE_BEFORE = re.compile(
    r"(?:\b(?:is|are|was|were)|\b[A-Za-z]\s*=)\s*\$?-?\d[\d.,/]*\$?\s*(?:,|;|\b(?:and|while|whereas|but"
    r"|then)\b)[^=]*\Z"
)
_CONCLUDES = re.compile(
    r"\b(?:so|thus|total|sum|altogether|all|hence|therefore|answer|which|making|giving|leaving|left|then"
    r"|difference|product|result)\b",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\s*([A-Za-z]{2,})\b(?=\s+[A-Za-z](?![A-Za-z'])|\s*[+*^=<>]|\s*[-\u2212]\s*\d)")
_GLUED = re.compile(r"([A-Za-z]+)|\s+([B-HJ-Zb-z])(?![A-Za-z']|\.[a-z])")
_GOES_ON = re.compile(
    r"\s*(?:\.\.|pi\b|[\u00b7\u22c5\u2219\u2022\u0370-\u03ff]|[+*/^_!=<>\u00d7\u00f7\u00b1\u00b0|\]}{\[\u2260\u2264\u2265\u00b2\u00b3~]"
    r"|[-\u2212\u2013]\s*(?:[\d(\\$]|[a-z](?![a-z]))|\((?!\s*[A-Za-z]{2})|\\(?![\s,;.)\]%$]|q?quad|text))"
)


def last_value(line: str, *, bullets: bool = True) -> tuple[str, str] | None:
    """Return the last formula or the last number outside formulas, whichever ends later, and the rule's name.

    None where what stands around it makes it a part of something else, or changes its meaning ("not 7", "3:4").
    `bullets`: a dash at its start is one of a list, and no minus.
    """
    line = _ASIDE.sub(" ", _REMARK.sub("", line))
    formulas = list(FORMULA.finditer(line))
    covered = [(m.start(), m.end()) for m in formulas]
    numbers = [
        m for m in NUMBER.finditer(line) if not any(a <= m.start() < b or m.start() < a < m.end() for a, b in covered)
    ]
    is_formula = bool(formulas) and (not numbers or formulas[-1].end() > numbers[-1].end())
    last = formulas[-1] if is_formula else numbers[-1] if numbers else None
    if last is None:
        return None
    head, tail = line[: last.start()], line[last.end() :]
    if not _may_stand_before(head, bullets) or not _may_stand_behind(head, tail):
        return None
    if re.search(r"[A-Za-z]\s*=\s*\$?\Z|[A-Za-z]\s*=", head[-4:] + (last[0] if is_formula else "")):
        names = set(re.findall(r"(?<![A-Za-z\\])([A-Za-z])\s*=", line))
        if len(names) > 1:  # one of several values
            return None
    if is_formula:
        return next(g for g in last.groups() if g is not None) + unit_behind(tail), "last formula"
    return last[0] + unit_behind(tail), "last number"


def _may_stand_before(head: str, bullets: bool) -> bool:
    head = head.rstrip("\n")[head.rstrip("\n").rfind("\n") + 1 :]  # a display's number stands below its line
    if doubts.changed_before(doubts.before(head)):
        return False
    if (earlier := _VALUE_BEFORE.search(head)) is not None and not _CONCLUDES.search(earlier[0]):
        return False
    said = head.rstrip(_AROUND).removesuffix("(") if head.endswith(" (") else head.rstrip(_AROUND)
    said = said.rstrip(_AROUND)
    if not said or _EQUALS.search(said) or _COLON.search(said) or (bullets and _BULLET.fullmatch(head)):
        return True
    if said.endswith(("-", "\u2013", "\u2014")):
        return said[-2:-1].isspace() and not doubts.is_minus(said[:-1].rstrip())
    word = _WORD.search(said)
    if word is None:
        return False
    name = word[1].lower()
    if not name.isascii():
        return True
    if len(name) == 1:
        return name in ("a", "i") and not word[2]
    if name in PLAIN_FUNCTIONS or name in _LABELS or "\\" in said[word.start() - 1 : word.start()]:
        return False
    return word[2] == "," or _MEASURED.search(said.lower()) is None


def _may_stand_behind(head: str, tail: str) -> bool:
    if tail.lstrip().startswith(")"):
        if not head.rstrip(_AROUND).endswith("(") or not re.search(r"(?:\A|\s)\(\Z", head.rstrip(_AROUND)):
            return False
        tail = tail.lstrip()[1:]
    if (
        _GOES_ON.match(tail)
        or doubts.changed_behind(tail)
        or doubts.retracted(tail, head.rsplit(maxsplit=1)[-1] if head.split() else "")
    ):
        return False
    if (unit := _UNIT.match(tail)) is not None and is_unit_word(unit[1]):
        tail = tail[unit.end() :]  # "8 km x"
        return _GLUED.match(tail) is None and _GOES_ON.match(tail) is None
    glued = _GLUED.match(tail)
    if glued is None:
        return True
    if glued[2] is not None:
        return glued[2] in "mgshlLNJWVK"
    return is_unit_word(glued[1]) or len(glued[1]) > 3
