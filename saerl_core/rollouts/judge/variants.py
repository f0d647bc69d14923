"""Spellings with two readings: `1,234` is a number or a pair."""

from dataclasses import replace

from saerl_core.rollouts.judge.lexing import Token


def plain_colons(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Take the braces off `{:}`, with which people keep LaTeX from putting blanks around a colon."""
    kept: list[Token] = []
    for i, token in enumerate(tokens):
        around = [t.text for t in tokens[max(0, i - 1) : i + 2]]
        if token.text == "{" and [t.text for t in tokens[i : i + 3]] == ["{", ":", "}"]:
            continue
        if token.text == "}" and [t.text for t in tokens[max(0, i - 2) : i + 1]] == ["{", ":", "}"]:
            continue
        kept.append(token if around != ["{", ":", "}"] else Token("symbol", ":"))
    return tuple(kept)


def comma_variants(tokens: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """Return the tokens with `1,234` as one number, and as two where that is possible (always two in brackets)."""
    if not any(t.kind == "number" and "," in t.text for t in tokens):
        return [tokens]
    joined: list[Token] = []
    apart: list[Token] = []
    depth = 0
    for token in tokens:
        depth += {"(": 1, "[": 1, "\\{": 1, ")": -1, "]": -1, "\\}": -1}.get(token.text, 0)
        if token.kind != "number" or "," not in token.text or _must_join(token.text):
            joined.append(token)
            apart.append(token)
            continue
        pieces = [Token("number", part) for part in token.text.split(",")]
        pieces[0] = replace(pieces[0], spaced=token.spaced)
        several = [t for piece in pieces for t in (piece, Token("symbol", ","))][:-1]
        apart.extend(several)
        joined.extend(several if depth > 0 else [token])
    return [tuple(joined)] if joined == apart else [tuple(joined), tuple(apart)]


def _must_join(text: str) -> bool:
    return "." in text or any(group.startswith("0") for group in text.split(",")[1:])
