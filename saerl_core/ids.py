"""The identity of a prompt: one hash that every room computes in the same way."""

import hashlib
import unicodedata


def normalise_text(text: str) -> str:
    """Return the text in Unicode NFC with white space collapsed to single blanks and stripped.

    Punctuation and case are kept: they can change what a problem asks.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def prompt_id(prompt: str, answer: str) -> str:
    """Return 16 hex digits of SHA-256 over the normalised prompt and answer.

    The unit separator between the two keeps ("a b", "c") apart from ("a", "b c").
    """
    content = f"{normalise_text(prompt)}\x1f{normalise_text(answer)}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]
