r"""Balanced braces and boxes of LaTeX, where more than one room needs them."""

import re

BOX = re.compile(r"\\(?:f?boxed|fbox)\s*\{")


def closing(text: str, start: int) -> int | None:
    """Return where the brace that opens at `start` closes; None where it never does. Escaped braces do not count."""
    depth, at = 0, start
    while at < len(text):
        c = text[at]
        if c == "\\":
            at += 1
        elif c == "{":
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return None


def last_box(text: str) -> str | None:
    r"""Return what stands in the last `\boxed{...}` that closes and is not empty; None without one."""
    for match in reversed(list(BOX.finditer(text))):
        end = closing(text, match.end() - 1)
        if end is not None and text[match.end() : end].strip():
            return text[match.end() : end].strip()
    return None
