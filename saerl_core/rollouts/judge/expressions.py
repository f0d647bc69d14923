r"""Expressions: tokens to a tree, all of them or none. Every letter and every digit ends in the tree.

Grammar: sums of products of powers; implied products (`2x`, `(x+1)(x-2)`), mixed numbers (`2\frac{1}{2}`, `2 1/2`),
functions with and without brackets, absolute values, floors, binomials, factorials, degrees, matrices.
"""

from collections.abc import Sequence
from fractions import Fraction

from saerl_core.rollouts.judge import vocabulary
from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.lexing import Token
from saerl_core.rollouts.judge.nodes import Node, number, number_of, signed
from saerl_core.rollouts.judge.operands import COMMANDS, Operands

MAX_DEPTH = 60
_UNKNOWN_FUNCTIONS = frozenset("fghFGO")
_STARTS_FACTOR = frozenset(("(", "[", "{", "|"))
_ENDS_SUM = frozenset((")", "]", "}", "\\}", ","))


def parse(tokens: Sequence[Token]) -> Node:
    """Return the tree of an expression.

    Raises:
        NotReadableError: a token is left over, missing or unknown.
        TooLargeError: an exponent is beyond reason.
    """
    parser = _Parser(tuple(tokens))
    node = parser.sum()
    if parser.at < len(parser.tokens):
        raise NotReadableError(f"'{parser.tokens[parser.at].text}' is not understood here")
    return node


class _Parser(Operands):
    # --- sums and products

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotReadableError("nested too deeply")
        node = self._signed()
        while self.next_is("+", "-", "pm", "mp"):
            sign = self.take().text
            term = self._product()
            node = Node("add", (node, signed(sign, term)))
        self.depth -= 1
        return node

    def _signed(self) -> Node:
        if self.next_is("+", "-", "pm", "mp"):
            sign = self.take().text
            return signed(sign, self._product())
        return self._product()

    def _product(self) -> Node:
        node = self.factor()
        implied_after_slash = False
        while True:
            if self.next_is("*", "cdot", "times"):
                self.take()
                if self.next_is("*"):  # 2**10
                    self.take()
                    node = Node("pow", (node, self._signed_factor()))
                    continue
                node, implied_after_slash = Node("mul", (node, self._signed_factor())), False
            elif self.next_is("/", "div"):
                self.take()
                node, implied_after_slash = Node("div", (node, self._signed_factor())), True
            elif self._starts_factor():
                if implied_after_slash:
                    raise NotReadableError("a/bc may mean (a/b)c or a/(bc)")
                node = Node("mul", (node, self._implied(node)))
            else:
                return node

    def _signed_factor(self) -> Node:
        if self.next_is("-", "+"):
            sign = self.take().text
            return signed(sign, self._signed_factor())
        return self.factor()

    def _implied(self, before: Node) -> Node:
        token = self.peek()
        if token is not None and token.kind == "number" and before.op not in ("bracket", "factorial"):
            raise NotReadableError("two numbers side by side")
        return self.factor()

    def _starts_factor(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        if token.kind in ("number", "letter", "word", "begin", "text"):
            return True
        if token.kind == "symbol":
            return token.text in _STARTS_FACTOR and not (token.text == "|" and self.bars % 2 == 1)
        return token.kind == "command" and token.text in COMMANDS

    # --- factors

    def factor(self) -> Node:
        token = self.peek()
        if token is not None and token.kind == "number" and (mixed := self._mixed()) is not None:
            return mixed
        node = self.base()
        while True:
            if self.next_is("^"):
                node = self._power(node)
            elif self.next_is("!"):
                self.take()
                if self.next_is("!"):
                    raise NotReadableError("a double factorial")
                node = Node("factorial", (node,))
            elif self.next_is("**"):
                self.take()
                node = Node("pow", (node, self._signed_factor()))
            elif self.next_is("*") and _is_star(self.peek(1)):
                self.at += 2
                node = Node("pow", (node, self._signed_factor()))
            else:
                return node

    def _power(self, node: Node) -> Node:
        self.take()
        if self.next_is("circ"):
            self.take()
            return Node("degrees", (node,))
        if self.next_is("{") and _is_circ(self.peek(1)) and _is_close(self.peek(2)):
            self.at += 3
            return Node("degrees", (node,))
        if self.next_is("'", "prime"):
            raise NotReadableError("a derivative")
        return Node("pow", (node, self.exponent()))

    def exponent(self) -> Node:
        if self.next_is("{"):
            return self.argument()
        if self.next_is("-", "+"):
            sign = self.take().text
            return signed(sign, self.base())
        token = self.peek()
        if token is not None and token.kind == "word":
            raise NotReadableError("an exponent of several letters without braces")
        node = self.base()
        while self.next_is("^"):
            node = self._power(node)
        if self.next_is("!"):
            self.take()
            node = Node("factorial", (node,))
        return node

    def _mixed(self) -> Node | None:
        r"""Read `2\frac{1}{2}` and `2 1/2`: a whole number with a proper fraction behind it is their sum."""
        whole = self.tokens[self.at]
        if not whole.text.isdigit():
            return None
        start, self.at = self.at, self.at + 1
        fraction = self._plain_fraction()
        if fraction is None:
            self.at = start
            return None
        if not 0 < fraction < 1:
            raise NotReadableError("a number and an improper fraction side by side")
        return number(Fraction(int(whole.text)) + fraction)

    def _plain_fraction(self) -> Fraction | None:
        token = self.peek()
        if token is not None and token.kind == "command" and token.text == "frac":
            self.take()
            try:
                top, bottom = self.argument(), self.argument()
            except NotReadableError:
                return None
            if top.value is None or bottom.value is None or bottom.value == 0 or self.next_is("^"):
                return None
            return top.value / bottom.value
        one, slash, two = self.peek(), self.peek(1), self.peek(2)
        if one is None or slash is None or two is None or not one.spaced or slash.text != "/":
            return None
        if not (one.text.isdigit() and two.text.isdigit()) or int(two.text) == 0:
            return None
        self.at += 3
        return Fraction(int(one.text), int(two.text))

    def base(self) -> Node:
        token = self.take()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "letter":
            return self._letter(token.text)
        if token.kind == "word":
            return _letters(token.text)
        if token.kind == "text":
            return self._text_symbol(token.text)
        if token.kind == "begin":
            return self.matrix(token.text)
        if token.kind == "symbol":
            return self.bracket(token.text)
        if token.kind == "command":
            return self.command(token.text)
        raise NotReadableError(f"'{token.text}' is not understood here")

    def _number(self, token: Token) -> Node:
        if self.next_is("_"):
            raise NotReadableError("a number with an index")
        return number(number_of(token.text))

    def _text_symbol(self, text: str) -> Node:
        if len(text) == 1 and text.isalpha():
            return self._letter(text)
        raise NotReadableError(f"text '{text[:20]}' inside an expression")

    def _letter(self, name: str) -> Node:
        while self.next_is("'"):
            self.take()
            name += "'"
        if self.next_is("_"):
            self.take()
            name += "_" + self._index()
        elif name in ("e", "i"):
            return Node("constant", name=name)
        elif name in _UNKNOWN_FUNCTIONS and self.next_is("("):
            name += self._raw_bracket()
        return Node("symbol", name=name)

    def _index(self) -> str:
        token = self.take()
        if token.text != "{":
            return token.text
        parts: list[str] = []
        while not self.next_is("}"):
            parts.append(self.take().text)
        self.take()
        return "".join(parts)

    def _raw_bracket(self) -> str:
        """Take a bracket as it is spelled: the argument of a function that nobody knows."""
        parts: list[str] = []
        depth = 0
        while True:
            token = self.take()
            parts.append(token.text)
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth == 0:
                return "".join(parts)


def _letters(word: str) -> Node:
    """Return the product of a run of letters, as in `2ab`; longer runs are words and no product."""
    if len(word) == 2 and word[0] == "d" and word[1].islower():
        raise NotReadableError("a differential")
    if len(word) > 3 or not word.isascii() or not word.isalpha() or word.lower() in vocabulary.ENGLISH:
        raise NotReadableError(f"the word '{word[:20]}' inside an expression")
    node: Node | None = None
    for letter in word:
        one = Node("constant", name=letter) if letter in ("e", "i") else Node("symbol", name=letter)
        node = one if node is None else Node("mul", (node, one))
    assert node is not None
    return node


def _is_star(token: Token | None) -> bool:
    return token is not None and token.text == "*"


def _is_circ(token: Token | None) -> bool:
    return token is not None and token.kind == "command" and token.text == "circ"


def _is_close(token: Token | None) -> bool:
    return token is not None and token.text == "}"
