"""Invisible characters of answers: accidental ones are removed, and the row says so."""

from saerl_core.invisible import ACCIDENTAL, without_invisible
from saerl_core.prompts.rows import excerpt


def clean_answer(text: str) -> tuple[str, str | None]:
    """Return an answer without accidental invisible characters, and a sentence on what was removed, if anything.

    A text of nothing but invisible characters is empty.
    """
    if text.isascii() or not ACCIDENTAL.search(text):
        return (text, None) if text.isascii() or without_invisible(text).strip() else ("", None)
    kept = ACCIDENTAL.sub("", text)
    names = ", ".join(dict.fromkeys(f"U+{ord(c):04X}" for c in ACCIDENTAL.findall(text)))
    return kept if without_invisible(kept).strip() else "", f"removed from the answer: {names} in {excerpt(text)}"
