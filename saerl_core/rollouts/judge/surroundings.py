r"""What stands beside a box and belongs to its answer: the rest of the formula that holds it, or a unit behind it.

The formula is what lies between `$..$`, `\(..\)`, `\[..\]` or rows of an environment; without these, the run of
mathematical characters that touches the box. Left of the box an equation's left side, an arrow and text say nothing;
on both sides punctuation, spacing and marks of an end do. All else is put together with the box's content and read as
a whole; what cannot be put together (`3\boxed{8}`, `\boxed{9},000`) is in doubt.
"""

import re

from saerl_core.rollouts.judge import doubts
from saerl_core.rollouts.judge.behind import unit_behind
from saerl_core.rollouts.judge.runs import is_prose, quiet, run_before, run_behind

_MAX_CHARS = 1000  # on either side
_EDGE_LEFT = re.compile(r"\ufffc|\$|\\[()\[\]]|\\\\|&|\n\s*\n|\\begin\{\w+\*?\}|\\end\{\w+\*?\}|#|</?[A-Za-z]\w*>")
_EDGE_RIGHT = re.compile(r"\$|\\[()\[\]]|\\\\|&|\n\s*\n|\\end\{\w+\*?\}|\\begin\{\w+\*?\}|#|</?[A-Za-z]|\ufffc")
_TABLE = re.compile(r"\\(begin|end)\{(?:[A-Za-z]*matrix|cases|array|tabular)\*?\}")
_DASH = re.compile(r"[-\u2013]\s+\Z")
_UNTEXT = re.compile(r"\\(?:text\w*|mbox|mathrm)\s*\{[^{}]*\}")
_FORMULA_ENDS = ("$", r"\)", r"\]", "\ufffc")
_MODULUS = re.compile(r"\s*(?:\\[pb]?mod|\(\s*\\?(?:mod|text\s*\{\s*mod)).*\Z", re.DOTALL)
_MARKS = re.compile(r"(?:\s*(?:\A|\n)\s*(?:[-*+\u2022>\u2013]|\d{1,2}[.)]|\([a-z0-9]\)|Step\s+\d+)\s+)+\Z")
_OPERATOR_BEFORE = re.compile(
    r"(?:[+*/^_<>\u2260\u2264\u2265\u221a\u00d7\u00f7\u00b1\u00b7\u2212]|(?:\A|(?<=[\w$)}\]]))\s*[-\u2013]|\\(?:times"
    r"|cdot|div|pm|mp|le|ge|leq|geq"
    r"|ne|neq|lt|gt|sqrt|log|ln|sin|cos|tan))\s*\Z"
)
_OPERATOR_BEHIND = re.compile(
    r"\s*(?:[+*/^_<>\u2260\u2264\u2265\u00d7\u00f7\u00b1\u00b7\u00b0]|[-\u2212\u2013]\s*[\d$\\(]|="
    r"|[A-Za-z](?![A-Za-z])(?<![aAI])|[(\[]\s*[-\dx]"
    r"|\d|[.,]\d|\u03c0|pi\b|:\s?\d|\u2192|->|\|"
    r"|th\b|,\s*\$?-?\d[^()\[\]]*[)\]]|!=|\\(?:times|cdot|div|pm|sqrt|frac|pi)(?![A-Za-z]))"
)
_PART_OF_MORE = re.compile(  # in front of the formula that holds the box
    r"(?:(?<![A-Za-z])[A-Za-z]|\d\.?|\d:|[\w)\]}][(\[{]|[\[{|_^]|[(\[][^()\[\]]*[\d,;]\s*|!=\s*"
    r"|\d\s+\d+\s+|\$[^$=]+\$[ \t]*"
    r"|\b(?:log|ln|lg|sin|cos|tan|sqrt|exp|max|min|gcd|lcm)\s*\(?)\Z"
)
_PERCENT = re.compile(r"\s*\\?%")


def around(text: str, start: int, end: int, content: str) -> tuple[str, bool]:
    """Return the answer of a box with what stands beside it, and whether that is in doubt."""
    at, where = _left(text, start)
    inside = where != "prose"
    left, outer = re.sub(r"\*\*|__|`", "", text[at:start]), text[:at]
    if not inside and (at == 0 or left.startswith("\n")) and (mark := _MARKS.search(left)) is not None:
        left, outer = left[mark.end() :], "\n"
    before, stack = run_before(left.replace("=>", "\u21d2").replace("->", "\u2192"), inside)
    if not inside and _DASH.fullmatch(before) and not _is_minus(outer, left, before):
        before = ""
    edge = _right_edge(text, end, inside)
    after, rest = run_behind(text[end:edge], stack, inside)
    if not inside and before[-1:] in ("*", "_") and after.startswith(before[-1:] or "*"):  # italics
        before, after = before[:-1], after[1:]
    if re.search(r"\\equiv|\u2261", left):
        after = _MODULUS.sub("", after)
    shown = f"{before}{{{content}}}{after}"
    if any(group.sign == "{" for group in stack) and re.match(r"[^{}$]*,[^{}$]*\}", text[end:]):  # a set
        return shown, True
    if _in_table(text, start) or _apart(outer, left, before, where):
        return shown, True
    if re.search(r"[\d.,]\s*\Z", before) or re.match(r"\d|[.,]\d", after):
        return shown, True
    behind = _behind(text, end, edge, quiet(after), rest)
    return (shown, True) if behind is None else (_together(quiet(before), content, behind), False)


def _together(before: str, content: str, after: str) -> str:
    plain = not after or (re.match(r"\\(?!text\s*\{\s*(?:and|or)\b)|\s", after) is not None and "^" not in after)
    return f"{content}{after}" if plain and not before else f"{before}{{{content}}}{after}"


def _behind(text: str, end: int, edge: int, after: str, rest: str) -> str | None:
    """Return what stands behind the box and belongs to it, a unit in words included; None where that is in doubt."""
    unit = unit_behind(after or text[end:edge].strip("*_`"))
    if unit:
        return unit
    return after if after or rest.strip(" .,;:") else _behind_formula(text, edge)


def _left(text: str, start: int) -> tuple[int, str]:
    """Return where the last edge before the box ends, and where the box is: formula, row or prose."""
    window = max(0, start - _MAX_CHARS)
    edges = list(_EDGE_LEFT.finditer(text, window, start))
    at, found = (edges[-1].end(), edges[-1][0]) if edges else (window, "")
    paragraph = max(text.rfind("\n\n", 0, start), 0)
    dollars = len(re.findall(r"(?<!\\)\$\$|(?<!\\)\$", text[paragraph:start]))
    left = text[at:start]
    where = "row" if found in ("\\\\", "&") or found.startswith("\\begin") else "prose"
    if found in (r"\(", r"\[") or (found == "$" and dollars % 2 == 1):
        where = "formula"
    if found == "\ufffc" and re.match(r"\s*(?:[-+*/^=<>]|\\)", left):  # a box before this one
        where = "row"
    if where == "formula" and any(
        is_prose(w) for w in re.findall(r"(?<=\s)[A-Za-z]+(?=\s)", f" {_UNTEXT.sub('', left)} ")
    ):
        where = "prose"  # between two prices
    if where == "prose":
        at = max(at, text.rfind("\n", at, start))
    return at, where


def _right_edge(text: str, end: int, inside: bool) -> int:
    stop = min(len(text), end + _MAX_CHARS)
    edge = _EDGE_RIGHT.search(text, end, stop)
    at = edge.start() if edge is not None else stop
    line = text.find("\n", end, at)
    return line if line >= 0 and not inside else at


def _apart(outer: str, left: str, before: str, where: str) -> bool:
    """Tell whether an operator stands between the box and what is before its formula, or a dash that may be a minus."""
    if before:
        operator = re.match(r"[-+*/^=<>\u00d7\u2212]|\\(?:times|cdot|div)", before) is not None
        if where == "row":
            return operator
        if where == "prose" and _DASH.fullmatch(before):
            return True
        return where == "prose" and operator and left.lstrip().startswith(before[0]) and outer.endswith(_FORMULA_ENDS)
    if left.strip() or re.search(r"</?[A-Za-z]\w*>\s*\Z", outer):
        return False
    near = re.sub(r"(?:\*\*|\$|\\[(\[])+\Z", "", outer.rstrip() if outer.endswith((" ", "\n")) else outer)
    line = near[near.rfind("\n") + 1 :]
    if line != outer[outer.rfind("\n") + 1 :] and _PART_OF_MORE.search(line):
        return True
    if _MARKS.fullmatch(f"\n{line}"):
        return False
    line = re.sub(r"(?:\s|&|\*\*|`|__)+\Z", "", line)
    return _OPERATOR_BEFORE.search(line) is not None


def _is_minus(outer: str, left: str, before: str) -> bool:
    return doubts.is_minus(left[: left.rfind(before[0])].rstrip() or outer.rstrip(" "))


def _behind_formula(text: str, edge: int) -> str | None:
    """Return what stands behind the formula and belongs to its number; None where it cannot be put together."""
    delimiter = re.compile(r"\s*(?:\$\$?|\\[)\]])").match(text, edge)
    if delimiter is None:
        return ""
    rest = re.sub(r"\A(?:\*\*|__|`)+", "", text[delimiter.end() : delimiter.end() + 200])
    if (percent := _PERCENT.match(rest)) is not None:
        return percent[0]
    if unit := unit_behind(rest):
        return unit
    line = rest.split("\n", 1)[0]
    if _OPERATOR_BEHIND.match(line) or re.match(
        r"[ \t]*(?:\$(?!\$)|\\\()(?!\s*\\(?:blacksquare|square|checkmark|qed))", line
    ):
        return None
    return ""


def _in_table(text: str, start: int) -> bool:
    depth = 0
    for match in _TABLE.finditer(text, max(0, start - _MAX_CHARS), start):
        depth = depth + 1 if match[1] == "begin" else max(0, depth - 1)
    return depth > 0
