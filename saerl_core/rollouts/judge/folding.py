r"""One alphabet for answers: characters that mean the same become the same LaTeX, before anything is read.

Nothing here works on LaTeX as if it were plain text: row breaks (`\\`), groups and commands stay what they are.
"""

import re
import unicodedata

from saerl_core.invisible import without_invisible
from saerl_core.rollouts.judge.vocabulary import words

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙᵢₐₓ", "0123456789+-()niax")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ]+")
_SUBSCRIPT_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙᵢₐₓ]+")

_SYMBOLS = {
    **dict.fromkeys("−–—‒﹣－‐‑", "-"),
    **dict.fromkeys("×✕✖⨯", r"\times "),
    **dict.fromkeys("·⋅∙•", r"\cdot "),
    **dict.fromkeys("÷", r"\div "),
    **dict.fromkeys("∕⁄／", "/"),
    **dict.fromkeys("≤≦⩽", r"\le "),
    **dict.fromkeys("≥≧⩾", r"\ge "),
    **dict.fromkeys("≈≃≅", r"\approx "),
    **dict.fromkeys("，、；", ","),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("“”", '"'),
    "≠": r"\ne ",
    "≡": r"\equiv ",
    "∞": r"\infty ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "√": r"\surd ",
    "∛": r"\cuberoot ",
    "°": r"^\circ ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "∖": r"\setminus ",
    "∅": r"\emptyset ",
    "Ø": r"\emptyset ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
    "π": r"\pi ",
    "²": "^{2}",
    "³": "^{3}",
    "…": r"\ldots ",
    "∠": r"\angle ",
    "△": r"\triangle ",
    "∣": "|",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "→": r"\to ",
    "¥": "¥",
    "￥": "¥",
    "：": ":",
    "（": "(",
    "）": ")",
    "。": ".",
    "．": ".",
    "％": "%",
    "＝": "=",
    "＋": "+",
    "＜": "<",
    "＞": ">",
    "【": "[",
    "】": "]",
}
_GREEK = {
    unicodedata.lookup(f"GREEK SMALL LETTER {name.upper()}"): rf"\{name} "
    for name in sorted(
        words("alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi rho sigma tau phi chi psi omega")
    )
} | {"λ": r"\lambda ", "Δ": r"\Delta ", "Ω": r"\Omega ", "Σ": r"\Sigma ", "ϕ": r"\phi ", "µ": r"\mu ", "α": r"\alpha "}

_THIN = r"(?:\\[,;:! ]|[~\u2009\u202f\u00a0\u2007\u2008 ]|\\thinspace\s?)"
_DIGIT_GROUPS = re.compile(rf"(?<![\d.,^_])\d{{1,3}}(?:{_THIN}\d{{3}})+(?![\d])")
_COMMA_GROUPS = re.compile(r"(?<=\d)\s*(?:\{,\s*\}|,\\!|\\!,|\{,\}\\!)\s*(?=\d{3}(?!\d))")
_ESCAPED_TWICE = re.compile(r"\\\\(?=[A-Za-z]{2,})")
_REPEATING = re.compile(r"(?<![\d.])(\d*)\.(\d*)\\(?:overline|bar)\s*(?:\{(\d+)\}|(\d))")
_DOTTED = re.compile(r"(?<![\d.])(\d*)\.(\d*)\\dot\s*\{?(\d)\}?(?:(\d*)\\dot\s*\{?(\d)\}?)?(?!\d)")
_CHOOSE = re.compile(r"\{([^{}]*)\\choose\s*([^{}]*)\}")
_OVER = re.compile(r"\{((?:[^{}]|\{[^{}]*\})*?)\\over(?![a-z])\s*((?:[^{}]|\{[^{}]*\})*)\}")
_PRICE = re.compile(r"(?<!\\)\$")
_PRICES = re.compile(r"\s*[-\u2212]?\s*\$\s?[\d.,]*\d[^$\\]*(?:[\s,-]\$[\d.,]*\d[^$\\]*)*")
_SPACES = re.compile(r"\s+")


def fold(text: str) -> str:
    r"""Return the answer in LaTeX's own alphabet, with digit groups and repeating decimals as single numbers.

    `10\,000`, `10{,}000` and "10 000" become `10000`; `0.1\overline{6}` becomes `0.1(6)`; "√2" becomes `\surd 2`. A
    comma between digits stays, because `1,234` may be a number or a pair; the reader tries both.
    """
    text = _characters(without_invisible(_prices(text)))
    if "\\begin" not in text:  # `\\frac` out of a file that was escaped twice; row breaks stand in environments only
        text = _ESCAPED_TWICE.sub(r"\\", text)
    text = _OVER.sub(r"\\frac{\1}{\2}", _CHOOSE.sub(r"\\binom{\1}{\2}", text))
    text = _decimals(_groups(text))
    return _SPACES.sub(" ", text).strip()


def _prices(text: str) -> str:
    r"""Escape dollars that are a currency and delimit nothing: "$7", "$3 and $5"; `$7$` is a formula."""
    return _PRICE.sub(r"\\$", text) if _PRICES.fullmatch(text) else text


def _characters(text: str) -> str:
    if text.isascii():
        return text
    text = _SUPERSCRIPT_RUN.sub(lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", text)
    text = _SUBSCRIPT_RUN.sub(lambda m: "_{" + m[0].translate(_SUBSCRIPTS) + "}", text)
    return "".join(c if c.isascii() else _character(c) for c in text)


def _character(c: str) -> str:
    if c in _SYMBOLS:
        return _SYMBOLS[c]
    if c in _GREEK:
        return _GREEK[c]
    if "①" <= c <= "⑳" or c in "\u2009\u202f\u00a0\u2007\u2008":  # labels of statements; spaces that part digits
        return c
    simple = unicodedata.normalize("NFKC", c)
    if "⁄" in simple:  # ½ and its like
        top, _, bottom = simple.partition("⁄")
        return rf"\frac{{{top}}}{{{bottom}}}"
    return simple


def _groups(text: str) -> str:
    text = _COMMA_GROUPS.sub("", text)
    return _DIGIT_GROUPS.sub(lambda m: re.sub(_THIN, "", m[0]), text)


def _decimals(text: str) -> str:
    text = _REPEATING.sub(lambda m: f"{m[1] or 0}.{m[2]}({m[3] or m[4]})", text)
    return _DOTTED.sub(lambda m: f"{m[1] or 0}.{m[2]}({m[3]}{m[4] or ''}{m[5] or ''})", text)
