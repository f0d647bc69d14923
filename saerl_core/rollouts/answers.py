"""What a completion gives as its answer, and the spelling of answers that is compared."""

import re

_SPACE = re.compile(r"\s+")
_BOX = re.compile(r"\\f?boxed\s*\{")
_DOLLAR = re.compile(r"(?<!\\)\$")
_THOUSANDS = re.compile(r"(?<=\d),\\!\s*(?=\d{3})")
_THIN = re.compile(r"\\[!;:,]|\\(?= )|~")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox)\s*\{([^{}]*)\}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_SCIENTIFIC = re.compile(r"([+-]?\d+(?:\.\d+)?)[eE]([+-]?\d+)")


def last_boxed(text: str) -> str | None:
    r"""Return what stands in the last `\boxed{...}` with its braces balanced.

    None where there is no box, or where the last one is empty or never closes: a completion that was cut off inside
    its answer has not given one.
    """
    found = list(_BOX.finditer(text))
    if not found:
        return None
    start = found[-1].end()
    depth, escaped = 1, False
    for i in range(start, len(text)):
        if escaped:
            escaped = False
        elif text[i] == "\\":
            escaped = True
        elif text[i] in "{}":
            depth += 1 if text[i] == "{" else -1
            if depth == 0:
                return text[start:i].strip() or None
    return None


def has_box(text: str) -> bool:
    r"""Tell whether a `\boxed{` stands in the text, closed or not."""
    return _BOX.search(text) is not None


def plain(answer: str) -> str:
    r"""Return the answer without surrounding dollars, boxes, runs of white space and a final full stop.

    `\boxed{...}` around a gold answer counts as its content; "$18$" and "18." both give "18".
    """
    text = last_boxed(answer) or answer
    text = _SPACE.sub(" ", _DOLLAR.sub("", text)).strip()
    return text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text


def word(answer: str) -> str | None:
    r"""Return a one-word answer in lower case, `\text{...}` taken off; None for anything else.

    math-verify reads a bare word as a product of letters, in which anagrams are equal: words are compared as words.
    """
    text = _TEXT.sub(r"\1", answer).strip()
    return text.lower() if _WORD.fullmatch(text) else None


def as_latex(answer: str) -> str:
    r"""Return the plain answer as one inline formula, the only form that math-verify parses reliably.

    Bare golds parse wrongly: `(1,2)` gives nothing and `x^2-7x+10=0` verifies against `x^2+7x+10=0`. Spacing commands
    go, because a `\;` or `\!` near a number makes math-verify read "10,080" as a pair. "1e10" would be read as 1 and
    becomes a power of ten.
    """
    text = plain(_THIN.sub(" ", _THOUSANDS.sub("", answer)))
    match = _SCIENTIFIC.fullmatch(text)
    if match:
        text = rf"{match[1]}\times 10^{{{match[2]}}}"
    return f"${text}$"
