"""The run of mathematical characters that touches a box: what of it belongs to the answer, and where prose begins."""

import re
from dataclasses import dataclass

from saerl_core.rollouts.judge.labels import is_product
from saerl_core.rollouts.judge.vocabulary import ENGLISH, PLAIN_COMMANDS, PLAIN_FUNCTIONS, words

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[^\W\d_]+|\d+(?:[.,]\d+)*|\s+|.", re.DOTALL)
_STYLE = re.compile(
    r"\\(?:math(?:bf|rm|it|sf|tt)|boldsymbol|bm|underline|large|Large|LARGE|huge|Huge|displaystyle|textstyle|bf"
    r"|rm|sf|it"
    r"|color\s*\{[^{}]*\}|textcolor\s*\{[^{}]*\}|colorbox\s*\{[^{}]*\}|fcolorbox\s*\{[^{}]*\}\s*\{[^{}]*\})\s*\Z"
)
_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|normal|sf|tt)?|mbox|hbox|emph)\s*\Z")
_SILENT = re.compile(  # says nothing
    r"\s+|~|\\[ ,;:!>]|\\q?quad(?![A-Za-z])|\\(?:h|v)?(?:space|skip)\*?\s*\{[^{}]*\}|\\(?:tag|label)\*?\s*\{[^{}]*\}"
    r"|\\(?:displaystyle|textstyle|hfill|noindent|left|right|big+|Big+|blacksquare|square|Box|checkmark|qed|par"
    r"|bf|large"
    r"|Large|LARGE|huge|Huge|newline|nonumber|notag|thinspace|medspace|underline|color\s*\{[^{}]*\})(?![A-Za-z])\.?"
    r"|\\text\s*\{\s*[.,;]?\s*\}|[\u2713\u2714\u25a0\u220e]"
)
_RELATION = ("=", "\uff1d", "\u2248", "\u2245", "\u2243", "\u2192", "\u21d2", "\u2234", "\u27f9", "\u2208", "\u2014")
_SAYING = words(
    r"\approx \simeq \cong \doteq \Rightarrow \implies \Longrightarrow \rightarrow \to \longrightarrow \iff \equiv "
    r"\Leftrightarrow \therefore \because \in \Longleftrightarrow \coloneqq \leadsto \rightsquigarrow"
)
_BOUND = re.compile(r"(?:[<>\u2260\u2264\u2265]|\\(?:geq?|leq?|neq?|gt|lt|geqslant|leqslant))\s*[-\d./]+\Z")
_ENDS = re.compile(r"[.,;:?\u3002\uff0c\uff1b]+(?=[\s\"'*)\u201d]|\Z)|\uff0c|\u3002|\uff1b")
_PAIRS = {
    "(": ")",
    "[": "]",
    "{": "}",
    r"\{": r"\}",
    r"\lfloor": r"\rfloor",
    r"\lceil": r"\rceil",
    r"\langle": r"\rangle",
}
_LONE = frozenset("aAI")


@dataclass
class Open:
    """A group that is open where the box begins; `kept`: it belongs to the formula, and is no style or text."""

    sign: str
    cut: int  # where the formula began before it
    kept: bool
    text: bool


def run_before(left: str, inside: bool) -> tuple[str, list[Open]]:
    """Return what belongs to the box in front of it, and the groups that are open there."""
    stack: list[Open] = []
    cut = 0
    for token in _TOKEN.finditer(left):
        sign, at = token[0], token.start()
        if sign in _PAIRS:
            cut = _opened(left, sign, at, cut, stack)
        elif sign in _PAIRS.values():
            cut = _closed(sign, token.end(), cut, stack)
        elif not any(group.kept for group in stack):
            if _says_nothing(left, sign, at, token.end(), inside):
                cut = token.end()
        elif not inside and is_prose(sign) and all(group.sign != "{" for group in stack):
            stack.clear()
            cut = token.end()
    return left[cut:].lstrip(" \n\t,;:.\"'\u201c"), stack


def _opened(left: str, sign: str, at: int, cut: int, stack: list[Open]) -> int:
    head = left[cut:at]
    style, text = _STYLE.search(head), _TEXT.search(head)
    silent = style is not None or text is not None or not quiet(head)
    wraps = sign == "{" and silent and not any(group.kept for group in stack)
    stack.append(Open(sign, cut, not wraps, text is not None and wraps))
    return at + 1 if wraps else cut


def _closed(sign: str, end: int, cut: int, stack: list[Open]) -> int:
    wanted = _PAIRS[stack[-1].sign] if stack else ""
    if sign != wanted and {sign, wanted} != {")", "]"}:  # of a group that opened before
        stack.clear()
        return end
    group = stack.pop()
    return cut if group.kept else end if group.text else group.cut


def _says_nothing(left: str, sign: str, at: int, end: int, inside: bool) -> bool:
    """Tell whether all up to here is no part of the answer: an equation's left side, an arrow, a word, a sentence."""
    if sign in _RELATION:
        return re.search(r"(?:[<>!/\u2260]|\\not\s*)\Z", left[:at]) is None
    if sign in _SAYING:
        return True
    if sign == ":":
        return re.search(r"[\d\s]\Z", left[:at]) is None or (
            not inside and left[:at][-1:].isdigit() and left[end : end + 1] == " "
        )
    if inside:
        return False
    if sign in ".?!;" and (left[end : end + 1].isspace() or (not left[end:] and not left[at - 1 : at].isdigit())):
        return True
    if sign == "," and left[end : end + 1].isspace():
        if _BOUND.search(left[:at]):  # "since x > 0, "
            return True
        return re.search(r"(?:^|[\s,(=])[-\d./]+\Z", left[:at]) is None
    if sign == "|" and left[end : end + 1].isspace():
        return True
    if sign in _LONE and left[end : end + 1].isspace():
        return re.search(r"(?:\A|[A-Za-z.,:]\s)\Z", left[:at]) is not None
    return is_prose(sign) and not (end == len(left) and is_product(sign) and sign.lower() not in ENGLISH)


def is_prose(word: str) -> bool:
    """Tell whether it is a word, and no letter, function or name of a symbol."""
    if len(word) == 1:  # a word of Chinese
        return word > "\u2e7f" and word.isalpha()
    return word[0].isalpha() and word.lower() not in PLAIN_FUNCTIONS and word not in PLAIN_COMMANDS


def run_behind(tail: str, stack: list[Open], inside: bool) -> tuple[str, str]:
    """Return what belongs to the box behind it, and the prose after that."""
    tail = re.sub(r"\*\*|__|`", "", tail)
    kept, depth, pending = "", 0, list(stack)
    for token in _TOKEN.finditer(tail):
        sign, at = token[0], token.start()
        if sign in _PAIRS:
            if depth == 0 and not (inside or pending) and _is_remark(tail[at:]):
                return kept, tail[at:]
            depth += 1
        elif sign in _PAIRS.values() and depth == 0:
            if not pending:
                return kept, tail[at:]
            sign = sign if pending.pop().kept else ""
        elif sign in _PAIRS.values():
            depth -= 1
        elif depth == 0 and not any(group.kept for group in pending) and _is_edge(tail, sign, at, inside):
            return kept, tail[at:]
        kept += sign
    return kept, ""


def _is_edge(tail: str, sign: str, at: int, inside: bool) -> bool:
    return _is_arrow(sign) or (not inside and _ends_run(tail, sign, at))


def _is_arrow(sign: str) -> bool:
    return (sign in _SAYING and sign not in (r"\in", r"\equiv")) or sign in _RELATION[2:]


def _is_remark(tail: str) -> bool:
    inner = re.match(r"[(\[]([^()\[\]]*)", tail)
    return inner is not None and (
        any(is_prose(word) for word in re.findall(r"[^\W\d_]+", inner[1]))
        or re.fullmatch(r"[A-J]", inner[1]) is not None
    )


def _ends_run(tail: str, sign: str, at: int) -> bool:
    if _ENDS.match(tail, at) and not re.match(r"[.,]\d", tail[at:]):
        return True
    if sign in "\"'\u201d\u201c|<" and not re.match(r"[|<]\s*[\w\\-]", tail[at:]):
        return True
    if sign in "-\u2013\u2014" and re.match(r"[-\u2013\u2014]+\s*(?:[A-Za-z]{2}|\Z|[aAI]\s)", tail[at:]):
        return True
    if sign in _LONE and tail[at - 1 : at].isspace():
        return True
    foreign = not sign.isascii() and sign.isalpha() and sign != "\u03c0"
    return foreign or (is_prose(sign) and not (at == 0 and is_product(sign) and sign.lower() not in ENGLISH))


def quiet(text: str) -> str:
    """Return the text, or nothing where it is only spacing, punctuation and marks of an end."""
    return text if _SILENT.sub("", text).strip(' .,;:"\u3002') else ""
