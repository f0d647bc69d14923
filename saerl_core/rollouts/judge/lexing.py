r"""Tokens of a folded answer. LaTeX is cut where LaTeX cuts: `\\` is a row break, `\text{...}` one token."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from saerl_core.latex import closing
from saerl_core.rollouts.judge import vocabulary
from saerl_core.rollouts.judge.errors import NotReadableError

Kind = Literal["number", "letter", "word", "text", "command", "symbol", "begin", "end", "row"]

MAX_CHARS = 2000
_NUMBER = re.compile(
    r"\d+\.\d*\(\d+\)"  # a repeating decimal, as `folding` writes it
    r"|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?"
    r"|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+(?![\d.]*[A-Za-z]))?"
)
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?|\\(.)", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]{2,})*")


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of an answer; `spaced`: white space or a spacing command stands before it."""

    kind: Kind
    text: str
    spaced: bool = False


def lex(text: str) -> tuple[Token, ...]:
    r"""Return the tokens of a folded answer.

    Kinds: `number` (still with its commas), `letter` (`x`, `\alpha`, `\mathbf{i}`), `word` (two letters and more),
    `text` (content of `\text{...}` and its like), `command` (without its backslash), `symbol`, `begin` and `end` (name
    of the environment), `row`.

    Raises:
        NotReadableError: the answer is too long, or a group never closes.
    """
    if len(text) > MAX_CHARS:
        raise NotReadableError("too long")
    return tuple(_Lexer(text).tokens())


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.spaced = False
        self.found: list[Token] = []
        self.readers = self._readers()

    def tokens(self) -> list[Token]:
        while self.at < len(self.text):
            c = self.text[self.at]
            if c.isspace() or c == "~":
                self.at += 1
                self.spaced = True
            elif c == "\\":
                self._command()
            elif c == "$":  # formulas end and begin inside an answer; a price is `\$`
                self.at += 1
            elif (number := _NUMBER.match(self.text, self.at)) is not None:
                self._add("number", number[0])
                self.at = number.end()
            elif (word := _WORD.match(self.text, self.at)) is not None:
                self._word(word[0])
                self.at = word.end()
            else:
                self._add("symbol", c)
                self.at += 1
        return self.found

    def _add(self, kind: Kind, text: str) -> None:
        self.found.append(Token(kind, text, self.spaced))
        self.spaced = False

    def _word(self, word: str) -> None:
        if len(word) == 1:
            self._add("letter", word)
        elif word.lower() in vocabulary.PLAIN_FUNCTIONS:
            self._add("command", word.lower())
        elif word in vocabulary.PLAIN_COMMANDS:
            self._name(vocabulary.PLAIN_COMMANDS[word])
        else:
            self._add("word", word)

    def _command(self) -> None:
        match = _COMMAND.match(self.text, self.at)
        if match is None:  # a backslash at the very end
            self.at += 1
            return
        self.at = match.end()
        spacing = re.match(r"q?quad(?=[a-zA-Z])", match[1] or "")
        if spacing is not None:  # \\quadx: a blank is missing
            self.at = match.start() + 1 + spacing.end()
            self.spaced = True
            return
        if match[2] is not None:
            self._sign(match[2])
        else:
            self._named(vocabulary.SAME.get(match[1], match[1]))

    def _sign(self, sign: str) -> None:
        if sign == "\\":
            self._skip_option()
            self._add("row", "\\\\")
        elif sign in vocabulary.SPACING_SIGNS:
            self.spaced = True
        elif sign == "$":
            self._add("symbol", "\\$")
        elif sign in "()[]":  # \( and \] delimit formulas
            return
        elif sign in "{}":
            self._add("symbol", "\\" + sign)
        elif sign == "|":
            self._add("command", "norm")
        else:
            self._add("symbol", sign)

    def _named(self, name: str) -> None:
        if name in vocabulary.DROPPED:
            if self.text[self.at : self.at + 1] == "." and name in ("left", "right"):
                self.at += 1
        elif name in vocabulary.SPACING:
            self.spaced = True
        elif (reader := self.readers.get(name)) is not None:
            reader(name)
        elif name in vocabulary.SYMBOL_COMMANDS:
            self._add("symbol", "\\" + name if name in "{}$" else name)
        elif name == "row":
            self._add("row", "\\\\")
        else:
            self._name(name)

    def _readers(self) -> dict[str, Callable[[str], None]]:
        """Return what reads the commands that take an argument."""
        return {
            **dict.fromkeys(vocabulary.WITH_LENGTH, lambda name: self._skip_group()),
            **dict.fromkeys(vocabulary.TEXT, lambda name: self._text(self._group())),
            **dict.fromkeys(vocabulary.FONTS, lambda name: self._add("letter", f"\\{name}{{{self._group().strip()}}}")),
            **dict.fromkeys(vocabulary.ACCENTS, self._accented),
            **dict.fromkeys(("begin", "end"), self._environment),
        }

    def _skip_group(self) -> None:
        self._group()

    def _name(self, name: str) -> None:
        if name in vocabulary.LETTER_COMMANDS:
            self._add("letter", "\\" + name)
        else:
            self._add("command", name)

    def _text(self, content: str) -> None:
        inner = content.strip().strip("$").strip()
        plain = inner.lstrip("\\")
        self.spaced = self.spaced or content[:1].isspace()
        if plain.lower() in vocabulary.PLAIN_FUNCTIONS - {"min"} and plain.isalpha():  # `\\text{min}` is a minute
            self._add("command", plain.lower())
        elif re.fullmatch(r"\\?[A-Za-z]+", inner) and plain in vocabulary.LETTER_COMMANDS | {"pi"}:
            self._name(plain)
        elif re.fullmatch(r"\d+(\.\d+)?", inner):
            self._add("number", inner)
        elif inner:
            self._add("text", inner)
        self.spaced = content[-1:].isspace()

    def _accented(self, name: str) -> None:
        content = self._group().strip()
        inner = lex(content)
        is_arrow = name in ("vec", "overrightarrow")  # of one letter, people leave it out
        if is_arrow and len(inner) == 1 and inner[0].kind in ("letter", "text"):
            self._add("letter", inner[0].text)
        elif len(inner) == 1 and inner[0].kind in ("letter", "text", "word"):
            self._add("letter", f"\\{'vec' if is_arrow else name}{{{inner[0].text}}}")
        else:
            raise NotReadableError("an accent over more than a letter")

    def _environment(self, name: str) -> None:
        environment = self._group().strip().rstrip("*")
        self._skip_option()
        if name == "begin" and environment in ("array", "tabular"):
            self._group()
        self._add("begin" if name == "begin" else "end", environment)

    def _skip_option(self) -> None:
        match = re.compile(r"\s*\[[a-z0-9. -]*(?:pt|em|ex|cm|mm|[tbc])\]").match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def _group(self) -> str:
        """Return the content of the group that begins here, or the next character or command."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        if self.at >= len(self.text):
            raise NotReadableError("a command without its argument")
        if self.text[self.at] != "{":
            match = _COMMAND.match(self.text, self.at)
            piece = match[0] if match is not None else self.text[self.at]
            self.at += len(piece)
            return piece
        end = closing(self.text, self.at)
        if end is None:
            raise NotReadableError("a group that never closes")
        content = self.text[self.at + 1 : end]
        self.at = end + 1
        return content
