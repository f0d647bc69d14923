r"""One text for all spellings of a problem, so that comparisons see what is said and not how it is written.

`spelled` levels what never changes a problem: invisible characters, Unicode forms, dollars and other delimiters of
formulas, LaTeX commands of one meaning, blanks. Case and punctuation stay, for duplicates and conflicts.
`units` goes further, for leaks: a unit is one word, number or CJK character in lower case together with the signs that
touch it. Punctuation and [asy] drawings are gone; relations, operators, exponents, brackets and roots are not:

    Is $k>0$ for $x^{10}$?  ->  is  k  >0  for  x  ^10

So k > 0 and k < 0, 2x + 1 and 2x - 1, x^{2y} and x^2y, \sqrt2 and 2 remain different. `words` are the units without
their signs.
"""

# ruff: noqa: RUF001 (characters that look alike are what this module is about)
import re
import unicodedata
from collections.abc import Iterable

from saerl_core.invisible import without_invisible
from saerl_core.prompts.inspect import CJK

_OPEN, _CLOSE = "\u27ee", "\u27ef"  # braces that hold more than one thing: \sqrt{2x} is not \sqrt{2}x
_SET_OPEN, _SET_CLOSE = "\u2983", "\u2984"  # \{ and \}, which are seen
_ROW = "\u23ce"  # the row break \\, never to be taken for a thin space
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni")
_SUB = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", "0123456789+-=()")
_SUPERS, _SUBS = (re.compile(f"[{''.join(map(chr, table))}]+") for table in (_SUPER, _SUB))
_VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e\u2189]")  # NFKC would make 21/2 of 2½
_GREEK = {
    chr(code): f"\\{unicodedata.name(chr(code)).rpartition(' ')[2].lower()} "
    for code in (*range(0x3B1, 0x3C2), *range(0x3C3, 0x3CA))
} | {
    "λ": "\\lambda ",
    "Δ": "\\Delta ",
    "Σ": "\\Sigma ",
    "Π": "\\Pi ",
    "Ω": "\\Omega ",
    "Γ": "\\Gamma ",
    "Θ": "\\Theta ",
}
_SYMBOLS = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–−﹣－", "-"),
        **dict.fromkeys("‘’′´", "'"),
        **dict.fromkeys("“”″", '"'),
        **{"\u2014": " - ", "\u2026": "...", "√": "\\sqrt ", "×": "\\times ", "÷": "\\div ", "·": "\\cdot "},
        **{"⋅": "\\cdot ", "∙": "\\cdot ", "±": "\\pm ", "∞": "\\infty ", "°": "^\\circ ", "º": "^\\circ "},
        **{"∠": "\\angle ", "△": "\\triangle ", "∈": "\\in ", "∪": "\\cup ", "∩": "\\cap ", "⊂": "\\subset "},
        **{"⊥": "\\perp ", "∥": "\\parallel ", "≡": "\\equiv ", "≅": "\\cong ", "≈": "\\approx ", "∑": "\\sum "},
        **{"∫": "\\int ", "∏": "\\prod ", "⌊": "\\lfloor ", "⌋": "\\rfloor ", "⌈": "\\lceil ", "⌉": "\\rceil "},
        **{"⩽": "≤", "⩾": "≥", "≦": "≤", "≧": "≥", "⁄": "/", "∕": "/", "∗": "*", "∣": "|", "⟶": "→", "ϕ": "\\phi "},
    }
)

_GREEK_SCRIPT = "\u0370-\u03ff\u1f00-\u1fff"  # a letter in a Greek word is no symbol
_GREEK_SYMBOL = re.compile(f"(?<![{_GREEK_SCRIPT}])[{''.join(_GREEK)}](?![{_GREEK_SCRIPT}])")
_I = re.IGNORECASE  # a prompt in capitals has its commands in capitals
_NOT_LETTER = r"(?![a-zA-Z])"
_ESCAPED_TWICE = r"[dt]?frac|sqrt|left|right|text|sin|cos|tan|log|pi|times|cdot|begin|end|leq?|geq?|circ|angle"
_WRAPPERS = r"text(?:bf|it|rm|tt|sf|sc|normal)?|math(?:rm|it|sf|tt|normal)|mbox|hbox|operatorname\*?"
_LATEX: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"(?<!\\)\\\\(?=(?:{_ESCAPED_TWICE}){_NOT_LETTER})", _I), r"\\"),
    (re.compile(rf"\\\\(?:\[-?[\d.]+\s*(?:pt|em|ex|mm|cm)\])?|\\(?:cr|newline){_NOT_LETTER}", _I), f" {_ROW} "),
    (re.compile(r"\\[()\[\]]|\\\$"), " "),
    (re.compile(r"\\\{|\\lbrace" + _NOT_LETTER, _I), _SET_OPEN),
    (re.compile(r"\\\}|\\rbrace" + _NOT_LETTER, _I), _SET_CLOSE),
    (re.compile(rf"\\(?:left|right|middle){_NOT_LETTER}\s*\.?|\\big{{1,2}}[lrm]?{_NOT_LETTER}", _I), " "),
    (re.compile(rf"\\[,;:>! ~]|\\(?:q?quad|(?:en|thin|med|thick)space){_NOT_LETTER}", _I), " "),
    (re.compile(r"\\[hv]space\*?\{[^{}]*\}", _I), " "),
    (re.compile(rf"\\(?:displaystyle|textstyle|limits|nolimits|rm|it|bf){_NOT_LETTER}", _I), " "),
    (re.compile(rf"\\(?:{_WRAPPERS})\s*\{{([^{{}}]*)\}}", _I), r" \1 "),
    (re.compile(rf"\\(?:{_WRAPPERS}|mathbf|boldsymbol|bm){_NOT_LETTER}", _I), " "),
    (re.compile(r"\\var(?=epsilon|phi|theta)", _I), r"\\"),
    (re.compile(r"\\[dtc]frac", _I), r"\\frac"),
    (re.compile(r"\\[dt]binom", _I), r"\\binom"),
    (re.compile(r"(\\frac)\s*([a-z\d])\s*([a-z\d])", _I), r"\1{\2}{\3}"),
    (re.compile(r"(\\frac)\s*(\d)(?=\s*[\\{])", _I), r"\1{\2}"),
    (re.compile(rf"\\(?:leqslant|leqq|leq?){_NOT_LETTER}", _I), "≤"),
    (re.compile(rf"\\(?:geqslant|geqq|geq?){_NOT_LETTER}", _I), "≥"),
    (re.compile(rf"\\(?:not\s*=|neq?{_NOT_LETTER})", _I), "≠"),
    (re.compile(rf"\\lt{_NOT_LETTER}", _I), "<"),
    (re.compile(rf"\\gt{_NOT_LETTER}", _I), ">"),
    (re.compile(rf"\\(?:to|rightarrow|longrightarrow){_NOT_LETTER}", _I), "→"),
    (re.compile(rf"\\(?:[lr]?vert|mid){_NOT_LETTER}", _I), "|"),
    (re.compile(rf"\\(?:[lcv]?dots[bcmi]?){_NOT_LETTER}", _I), "…"),
    (re.compile(rf"\\degree{_NOT_LETTER}", _I), r"^\\circ"),
    (re.compile(rf"\^\s*\\prime{_NOT_LETTER}", _I), "'"),
    (re.compile(r"\\(?=[%&#_\d])"), ""),
    (re.compile(r"(\\[a-z]+)(?=\d)", _I), r"\1 "),
)
_ONE_THING = re.compile(r"\{\s*(-?\s*(?:\\[a-zA-Z]+|[a-zA-Z]|\d+(?:\.\d+)?|[^\w\s{}\\])?)\s*\}")
_GROUP = re.compile(r"\{([^{}]*)\}")
_MAX_NESTING = 12

_THIN_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,?\\!|,?\\,)(?:\\!)?(?=\d{3}(?!\d))")  # 10{,}000 and 10\,000
_THOUSANDS = re.compile(r"(?<![\d.,(\[])\d{1,3}(?:,\d{3})+(?![\d,])")
_COMMAND = re.compile(r"\\([a-z]*)")
_DOTS = re.compile(r"\.{3,}")
_BLANKS_AT_SIGNS = re.compile(r"(?<=[^\w\s]) | (?=[^\w\s])")
_DRAWING = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)", re.DOTALL)
_DRAWN = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_NAMES = r"(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|max|min)"
_MARKUP: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"<\|[^|<>]*\|>|</?[a-z_]{2,20}/?>"), " "),  # <|im_end|>, </think>
    (re.compile(r"(?<=[\d)a-z])(?<![a-z][a-z])\*\*(?=[\d(a-z])(?![a-z]{2})"), "^"),
    (re.compile(r"\*{2,}|_{2,}|(?<!\S)[*_](?=[a-z]{2})|(?<=[a-z.?!:])\*(?!\S)|^[ \t]*\*\s|[`#]", re.MULTILINE), " "),
    (re.compile(rf"(?:(?<=[a-z][a-z])|(?<=\d))-(?=[a-z][a-z])(?!{_NAMES})"), " "),  # two-digit, 3-digit
    (re.compile(rf"\s-+\s+(?=[a-z][a-z])(?!{_NAMES})"), " "),  # a dash between words
    (re.compile(r"(?<=\s)\(([a-z]{2,}(?:[\s,;.]+[a-z]{2,})*)[.?!]?\)"), r" \1 "),  # (in words)
    (re.compile(r"=\s*\?"), " "),
)
_OPENERS, _CLOSERS = rf"(\[|{_OPEN}{_SET_OPEN}", rf")\]{_CLOSE}{_SET_CLOSE}%"
_OPERATORS = rf"+\-*/=<>^_&≤≥≠→{_ROW}"
_WORD = rf"[{CJK}]|[^\W\d_{CJK}]+\d*|(?:\d+(?:\.\d+)?|(?<![\w.])\.\d+)(?:(?:[a-z]|\s+[b-z])(?![^\W\d_]))?|…"  # 2x, 2 x
_PRIME_OR_FACTORIAL = r"(?:(?<![a-z][a-z])(?:'+(?![a-z])|!+(?!\w)))?"
_UNIT = re.compile(
    rf"(?:[{_OPERATORS}{_OPENERS}]\s?){{0,8}}(?:{_WORD}){_PRIME_OR_FACTORIAL}(?:\|(?!\w))?(?:\s*[{_CLOSERS}]|(?<=\))[!'])*"
)
_SIGNS = re.compile(rf"[{_OPERATORS}{_OPENERS}{_CLOSERS}|'!]+")
_GOES_ON = re.compile(
    rf"[{_OPERATORS}]|[(\[{_OPEN}]+(?:[a-z]|[\d.]+)\Z|(?:times|cdot|div|pm|mp|circ|pmod|bmod|equiv|cong)\b"
)


def spelled(text: str) -> str:
    """Return the text in one spelling; what it says, its case and its punctuation are kept."""
    return _BLANKS_AT_SIGNS.sub("", " ".join(_levelled(text).split()))


def units(text: str) -> tuple[str, ...]:
    """Return the words, numbers and CJK characters of a text, each with the signs that touch it."""
    text = _levelled(_DRAWING.sub(" ", text.lower())).lower()
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    text = _DOTS.sub("…", text).replace("<=", "≤").replace(">=", "≥").replace("->", "→")
    text = _COMMAND.sub(r" \1 ", text)
    return tuple("".join(unit.split()) for unit in _UNIT.findall(" ".join(text.split())))


def drawn(text: str) -> frozenset[str]:
    """Return the words and numbers of the [asy] drawings of a text."""
    if "[" not in text:
        return frozenset()
    return frozenset(_DRAWN.findall(" ".join(_DRAWING.findall(without_invisible(text).lower()))))


def words(told: Iterable[str]) -> tuple[str, ...]:
    """Return the units without their signs."""
    return tuple(_SIGNS.sub("", unit) for unit in told)


def goes_on(unit: str) -> bool:
    """Return whether a unit continues the formula before it: 2 + 3 is not the problem 2 + 3 + 4."""
    return _GOES_ON.match(unit) is not None


def _levelled(text: str) -> str:
    if not text.isascii():
        text = _ascii_signs(without_invisible(text))
    text = _THIN_THOUSANDS.sub("", text)
    if "\\" in text:
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
    text = text.replace("$", " ").replace("~", " ")
    if "{" in text:
        text = _braces(text)
    return _THOUSANDS.sub(lambda m: m.group().replace(",", ""), text)


def _ascii_signs(text: str) -> str:
    """Write Unicode's own signs as LaTeX does; exponents first, as NFKC would turn x² into x2."""
    text = _SUPERS.sub(lambda m: f"^{{{m.group().translate(_SUPER)}}}", text)
    text = _SUBS.sub(lambda m: f"_{{{m.group().translate(_SUB)}}}", text)
    text = _VULGAR.sub(_fraction, text).translate(_SYMBOLS)
    text = unicodedata.normalize("NFKC", text).translate(_SYMBOLS)
    return _GREEK_SYMBOL.sub(lambda m: _GREEK[m.group()], text)


def _fraction(match: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", match.group()).partition("\u2044")
    return f" \\frac{{{over}}}{{{under}}} "


def _braces(text: str) -> str:
    """Drop braces around one thing; the others become brackets that count, the innermost first."""
    for _ in range(_MAX_NESTING):
        bare = _ONE_THING.sub(r" \1 ", text)
        grouped = _GROUP.sub(rf"{_OPEN}\1{_CLOSE}", bare)
        if grouped == text:
            break
        text = grouped
    return text
