"""Cutting a row of tokens at its own level: brackets, braces and environments stay whole."""

from collections.abc import Sequence

from saerl_core.rollouts.judge.lexing import Token

_OPENING = frozenset(("(", "[", "{", "\\{", "langle", "lfloor", "lceil"))
_CLOSING = frozenset((")", "]", "}", "\\}", "rangle", "rfloor", "rceil"))
_TRAILING = frozenset((".", ",", ";", ":", "!", '"', "'", "*", "`"))
_LEADING = frozenset((":", '"', "*", "`", ",", "therefore", "because"))


def trim(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens without punctuation around them."""
    kept = list(tokens)
    while kept and kept[0].text in _LEADING and kept[0].kind in ("symbol", "command"):
        kept.pop(0)
    while kept and kept[-1].kind == "symbol" and kept[-1].text in _TRAILING:
        if kept[-1].text in ("!", "'") and not kept[-1].spaced:  # a factorial, a prime
            break
        kept.pop()
    return kept


def split(tokens: Sequence[Token], separators: frozenset[str]) -> tuple[list[list[Token]], list[str]]:
    """Return the parts between the separators of the outermost level, and the separators."""
    parts: list[list[Token]] = [[]]
    found: list[str] = []
    depth = 0
    for token in tokens:
        depth += level(token)
        if depth == 0 and token.text in separators and token.kind in ("symbol", "command"):
            parts.append([])
            found.append(token.text)
        else:
            parts[-1].append(token)
    return parts, found


def level(token: Token) -> int:
    """Return 1 for a token that opens something, -1 for one that closes it, else 0."""
    if token.kind in ("begin", "end"):
        return 1 if token.kind == "begin" else -1
    if token.kind not in ("symbol", "command"):
        return 0
    return (token.text in _OPENING) - (token.text in _CLOSING)


def enclosed(tokens: Sequence[Token], opening: str, closing: str) -> list[Token] | None:
    """Return what stands between the first and the last token where these are one pair of brackets."""
    if len(tokens) < 2 or tokens[0].text != opening or tokens[-1].text != closing:
        return None
    depth = 0
    for i, token in enumerate(tokens):
        depth += level(token)
        if depth == 0 and i < len(tokens) - 1:
            return None
    return list(tokens[1:-1]) if depth == 0 else None


def cut_words(tokens: Sequence[Token]) -> list[Token]:
    r"""Return the tokens with `\text{ and }` and its like as separators of their own."""
    cut: list[Token] = []
    for token in tokens:
        word = token.text.strip(" ,;.").lower() if token.kind in ("text", "word") else ""
        if token.kind == "text" and word.endswith(" and"):  # \text{ hour and }
            cut += [Token("text", token.text.strip()[:-4], token.spaced), Token("command", "and", True)]
            continue
        cut.append(Token("command", word, token.spaced) if word in ("and", "or", "和", "或", "以及") else token)
    return cut
