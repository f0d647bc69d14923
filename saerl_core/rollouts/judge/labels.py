"""Letters of options: "(B)", "C: some text", "A, C", "ABD", and circled numbers of statements."""

import itertools
import re

from saerl_core.rollouts.judge.values import Choice

_MAX_CHARS = 1000  # of an option with what is said of others
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|boldsymbol|bf|rm)\s*\{([^{}]*)\}")
_BLANK = re.compile(r"\\[ ,;:!]|\\q?quad\b|~|\s+")
_SIZES = re.compile(r"\\(?:left|right)(?![A-Za-z])")
_LEAD = re.compile(r"(?:the\s+)?(?:correct\s+)?(?:option|choice|answer)s?(?:\s+is|:)?\s+", re.IGNORECASE)
_ONE = re.compile(r"\(?([A-J])\)?[.:]?")
_WITH_TEXT = re.compile(
    r"(?:\(([A-J])\)\s*[.:]?\s*|([A-J])\)\s*|([A-J])[.:]\s+|([A-J])[.:](?=[\\{$\d-]))(\S.*)", re.DOTALL
)
_SEVERAL = re.compile(r"\(?[A-J]\)?(?:\s*(?:,|;|and|&|和|,\s*and)\s*\(?[A-J]\)?)+")
_RUN = re.compile(r"[A-J]{2,6}")
_CIRCLED = re.compile(r"[①-⑳][①-⑳,和\s]*")
_ROMAN = re.compile(r"[IVXLCDM]{2,}")
_LETTER = re.compile(r"\(?([A-J])(?![A-Za-z'])")
_BESIDE = re.compile(  # another option, behind the first one
    r"\(([A-J])\)|(?<![A-Za-z\\(])([A-J])[).:](?=[\s\\\d$]|$)"
    r"|(?:\b(?:or|and|otherwise|else|maybe|perhaps|possibly|also|option|choice|it's|it is|is|be|then|but|to"
    r"|answer)\s+|(?:[/,]|->|\u2192|\\(?:to|rightarrow)\b)\s*)\(?([A-J])(?![\w'])(?!\s*[=+*/^<>\-])"
)
_NOT_THAT = re.compile(r"\b(?:not|rather than|instead of|unlike)\s+(?:option\s+|choice\s+)?\(?[A-J]\)?(?![\w'])")
_CALLED_WRONG = re.compile(
    r"(?:\b(?:[Oo]ptions?|[Cc]hoices?)\s+)?(?<![\w'])\(?[A-J]\)?(?:\s*(?:,|and|or|,\s*and)\s*\(?[A-J]\)?)*"
    r"\s+(?:is|are|was|were|would be|does|do|can)\s*(?:not\b|n't\b|wrong\b|incorrect\b|false\b|too\b|impossible\b)"
)
_TAKEN_BACK = re.compile(  # directly behind the letter, and further on in its sentence
    r"\)?[.:,]?\s*(?:(?:is|was)\s*(?:not|n't)\b|isn't\b|(?:is\s+)?(?:wrong|incorrect|false)\b(?!\s+[a-z])|\?|(?:maybe|perhaps|unless)\b)"
    r"|\)?,?\s+(?:or|if)\b|.*\b(?:otherwise|unless|maybe|perhaps)\b",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"(?<![\s(][A-J])[.!?]\s|[;\n]|,?\s(?:because|since|as)\s")
_NAMED_LATER = re.compile(
    r"\A\W*or\s+\(?([A-J])(?![\w'])|"
    r"\b(?:answer|it|option|choice)(?:'s|\s+(?:is|should be|must be))?\s*:?\s+\(?([A-J])\)?(?![\w'])"
    r"(?!\s+(?:is|was|are|would)\b)"
    r"|(?<![\w'])\(?([A-J])\)?\s+is\s+(?:the\s+)?(?:correct|right|true|best)\b"
    r"|\bbut\s+(?:option\s+|choice\s+)?\(?([A-J])\)?(?![\w'])(?!\s+(?:is|was|are|would|does|has|can|isn't)\b)"
)
_FAMILIES = tuple(
    frozenset(f) for f in ("xyz", "abc", "pqr", "mn", "uvw", "lmn", "rst", "ijk", "hk", "XYZ", "PQR", "mg")
)


def read_option(text: str) -> Choice | None:
    """Return the options that a folded answer names, with the text of a single one; None for anything else."""
    plain = _plain(text)
    plain = _LEAD.sub("", plain, count=1) if _LEAD.match(plain) else plain
    if match := _ONE.fullmatch(plain):
        return Choice(frozenset(match[1]))
    if _CIRCLED.fullmatch(plain):
        return Choice(frozenset(c for c in plain if "①" <= c <= "⑳"))
    if _SEVERAL.fullmatch(plain) or _ascending(plain):
        return Choice(frozenset(c for c in plain if c.isupper() and c.isalpha()))
    if match := _WITH_TEXT.fullmatch(plain):
        letter = match[1] or match[2] or match[3] or match[4]
        return Choice(frozenset(letter), match[5].strip())
    return None


def is_doubtful(text: str) -> bool:
    """Tell whether an answer that begins with an option goes on to another one, or takes it back.

    "A, C" and "A and C" name several options; "B, not C" and "B. A is wrong" name one; the text of an option may hold
    "x < 1 or x > 3" and "not".
    """
    plain = _plain(text[:_MAX_CHARS])
    plain = _LEAD.sub("", plain, count=1) if _LEAD.match(plain) else plain
    first = _LETTER.match(plain)
    if first is None or _SEVERAL.fullmatch(plain):
        return False
    rest = plain[first.end() :]
    if _TAKEN_BACK.match(rest) is not None and re.match(r"\)?\s*(?:[.:,?]|$)|\)|\s+(?:is|if|or|maybe|isn't)\b", rest):
        return True  # an option, and no name of a point
    text_of_it = re.match(r"[).:]*\s*", rest)
    own, *later = _CLAUSE_END.split(rest[text_of_it.end() if text_of_it is not None else 0 :], maxsplit=1)
    beside = {letter for found in _BESIDE.findall(_without_others(own)) for letter in found if letter}
    after = _without_others(later[0]) if later else ""
    named = {
        letter
        for part in (_without_others(own), after)
        for found in _NAMED_LATER.findall(part)
        for letter in found
        if letter
    }
    return bool((beside | named) - {first[1]})


def _without_others(text: str) -> str:
    return _CALLED_WRONG.sub(" ", _NOT_THAT.sub(" ", text))


def without_rejected(text: str) -> str:
    """Return "B, not C" without the option that it rejects."""
    if _LETTER.match(text) is None:
        return text
    return re.sub(rf"\s*,?\s*(?:but\s+)?{_NOT_THAT.pattern}", "", text)


def _plain(text: str) -> str:
    before = ""
    while before != text:
        before, text = text, _WRAPPER.sub(r" \1 ", text)
    text = _BLANK.sub(" ", _SIZES.sub("", text.replace("$", "")))
    return re.sub(r"\s+([,;.:)])", r"\1", text).replace("( ", "(").strip(" .*{}" if "{" not in text else " .*").strip()


def _ascending(text: str) -> bool:
    """Tell whether a run of capitals names options: in their order, or any order of the first five."""
    if _RUN.fullmatch(text) is None or len(set(text)) < len(text):
        return False
    return all(a < b for a, b in itertools.pairwise(text)) or set(text) <= set("ABCDE")


def is_product(word: str) -> bool:
    """Tell whether a run of letters is a product of variables and no word."""
    if _ROMAN.fullmatch(word):  # letters of numerals do not commute
        return False
    if len(word) == 2:
        return word.lower() not in {
            "no",
            "on",
            "am",
            "pm",
            "an",
            "at",
            "in",
            "is",
            "it",
            "of",
            "or",
            "so",
            "to",
            "us",
            "we",
        }
    return len(word) == 3 and any(set(word) <= family for family in _FAMILIES)
