"""A place in a row of tokens."""

from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.lexing import Token


class Cursor:
    """Looks at the next tokens and takes them."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0  # of sums inside sums
        self.bars = 0  # absolute values that are open

    def peek(self, ahead: int = 0) -> Token | None:
        """Return the token `ahead` places from here, None behind the end."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def next_is(self, *texts: str) -> bool:
        """Tell whether the next token is one of these signs or commands."""
        token = self.peek()
        return token is not None and token.kind in ("symbol", "command") and token.text in texts

    def take(self) -> Token:
        """Return the next token and go on; `NotReadableError` at the end."""
        token = self.peek()
        if token is None:
            raise NotReadableError("the expression ends too early")
        self.at += 1
        return token

    def expect(self, text: str) -> None:
        """Take the next token, which must be this one."""
        token = self.take()
        if token.text != text:
            raise NotReadableError(f"'{text}' is missing")
