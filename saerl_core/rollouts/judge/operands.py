r"""Operands of an expression: brackets, fractions, roots, functions with and without brackets, matrices."""

from saerl_core.rollouts.judge import vocabulary
from saerl_core.rollouts.judge.cursor import Cursor
from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.lexing import Token
from saerl_core.rollouts.judge.nodes import Node, determinant, number, number_of

_MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "smallmatrix", "array"])
_BRACKETED = {"floor": "floor", "ceil": "ceil", "abs": "abs"}
_SEVERAL = frozenset(("gcd", "lcm", "max", "min"))
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sec": "arcsec", "csc": "arccsc"}
_OTHER_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
COMMANDS = (
    vocabulary.FUNCTIONS_OF_ONE
    | _SEVERAL
    | frozenset(_BRACKETED)
    | frozenset(_OTHER_NAMES)
    | frozenset(("pi", "infty", "frac", "sqrt", "surd", "cuberoot", "binom", "lfloor", "lceil"))
)  # every command that begins an operand


class Operands(Cursor):
    """The part of the grammar below powers; `sum`, `factor` and `base` are the parts above and beside it."""

    def sum(self) -> Node:
        """Read a sum."""
        raise NotReadableError("no grammar of sums")

    def factor(self) -> Node:
        """Read a factor with its powers."""
        raise NotReadableError("no grammar of factors")

    def base(self) -> Node:
        """Read a factor without its powers."""
        raise NotReadableError("no grammar of operands")

    def exponent(self) -> Node:
        """Read what stands behind `^`."""
        raise NotReadableError("no grammar of powers")

    def bracket(self, opening: str) -> Node:
        """Read what an opening bracket or bar begins."""
        if opening == "|":
            self.bars += 1
            inner = self.sum()
            self.expect("|")
            self.bars -= 1
            return Node("abs", (inner,))
        if opening not in _CLOSING or opening == "\\{":
            raise NotReadableError(f"'{opening}' is not understood here")
        bars, self.bars = self.bars, 0
        inner = self.sum()
        self.expect(_CLOSING[opening])
        self.bars = bars
        return inner if inner.op in ("number", "matrix") else Node("bracket", (inner,))

    def argument(self) -> Node:
        r"""Read what LaTeX takes as the argument of a command: a group, or one digit or letter (`\frac12`)."""
        token = self.peek()
        if token is not None and token.text == "{":
            self.take()
            bars, self.bars = self.bars, 0
            node = self.sum()
            self.expect("}")
            self.bars = bars
            return node
        if token is not None and token.kind == "number" and len(token.text) > 1:
            if not (token.text.isdigit() and len(token.text) == 2):
                raise NotReadableError("a command before a long number without braces")
            self.tokens = (
                *self.tokens[: self.at],
                Token("number", token.text[0], token.spaced),
                Token("number", token.text[1]),
                *self.tokens[self.at + 1 :],
            )
        return self.base()

    def command(self, name: str) -> Node:
        """Read the operand that a command begins."""
        name = _OTHER_NAMES.get(name, name)
        if name in ("pi",):
            return Node("constant", name="pi")
        if name == "infty":
            return Node("infinity")
        if name == "frac":
            return Node("div", (self.argument(), self.argument()))
        if name in ("sqrt", "surd", "cuberoot"):
            return self._root(name)
        if name == "binom":
            return self._binomial()
        if name in ("lfloor", "lceil"):
            inner = self.sum()
            self.expect("rfloor" if name == "lfloor" else "rceil")
            return Node("floor" if name == "lfloor" else "ceil", (inner,))
        if name in _BRACKETED:
            return Node(_BRACKETED[name], (self._argument_in_brackets(),))
        if name in _SEVERAL:
            return Node("function", self._arguments(), name=name)
        if name in vocabulary.FUNCTIONS_OF_ONE:
            return self._function(name)
        raise NotReadableError(f"\\{name} is not understood")

    def _root(self, name: str) -> Node:
        degree = number(3 if name == "cuberoot" else 2)
        if name == "sqrt" and self.next_is("["):
            self.take()
            degree = self.sum()
            self.expect("]")
        if name == "sqrt" and not self.next_is("("):
            token = self.peek()
            if token is not None and token.kind == "number" and len(token.text) > 1:
                raise NotReadableError("a root of a number without braces")
            radicand = self.argument()
        else:
            radicand = self.base()
        return Node("root", (radicand, degree))

    def _binomial(self) -> Node:
        if self.next_is("("):
            args = self._arguments()
            if len(args) != 2:
                raise NotReadableError("a binomial of two numbers")
            return Node("binomial", args)
        return Node("binomial", (self.argument(), self.argument()))

    def _argument_in_brackets(self) -> Node:
        args = self._arguments()
        if len(args) != 1:
            raise NotReadableError("one argument is expected")
        return args[0]

    def _arguments(self) -> tuple[Node, ...]:
        opening = self.take().text
        if opening not in ("(", "{", "\\{", "["):
            raise NotReadableError("a function without brackets")
        args = [self.sum()]
        while self.next_is(","):
            self.take()
            args.append(self.sum())
        self.expect(_CLOSING[opening])
        return tuple(args)

    def _function(self, name: str) -> Node:
        base: Node | None = None
        exponent: Node | None = None
        while self.next_is("^", "_"):
            if self.take().text == "_":
                base = self._argument_or_number()
            elif self.next_is("circ"):
                raise NotReadableError("degrees of a function")
            else:
                exponent = self.exponent()
        if exponent is not None and exponent.value == -1:
            if name not in _INVERSE:
                raise NotReadableError("an inverse function")
            name, exponent = _INVERSE[name], None
        argument = self._function_argument()
        if base is not None and name != "log":
            raise NotReadableError("a function with an index")
        node = Node("function", (argument,) if base is None else (argument, base), name=name)
        return node if exponent is None else Node("pow", (node, exponent))

    def _argument_or_number(self) -> Node:
        token = self.peek()
        if token is not None and token.kind == "number":
            self.take()
            return number(number_of(token.text))
        return self.argument()

    def _function_argument(self) -> Node:
        if self.next_is("(", "{", "[", "|"):
            return self.base()
        if self.next_is("-"):
            self.take()
            return Node("neg", (self._function_argument(),))
        node = self.factor()
        while self._continues_argument():
            node = Node("mul", (node, self.factor()))
        if self.next_is("/"):  # \sin x/2
            raise NotReadableError("a quotient behind a function without brackets")
        return node

    def _continues_argument(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        return token.kind == "letter" or (token.kind == "command" and token.text in ("pi", "frac", "sqrt"))

    def matrix(self, environment: str) -> Node:
        """Read the cells of an environment up to its end; a `vmatrix` is its determinant."""
        if environment not in _MATRICES:
            raise NotReadableError(f"environment {environment}")
        rows: list[Node] = []
        cells: list[Node] = []
        bars, self.bars = self.bars, 0
        while True:
            token = self.peek()
            if token is None:
                raise NotReadableError("a matrix that never ends")
            if token.kind == "end" and not cells and rows:  # a row break before the end
                self.take()
                break
            cells.append(self.sum())
            token = self.take()
            if token.text == "&":
                continue
            rows.append(Node("row", tuple(cells)))
            cells = []
            if token.kind == "end":
                break
            if token.kind != "row":
                raise NotReadableError("a matrix with something else than cells")
        self.bars = bars
        if len({len(row.args) for row in rows}) != 1:
            raise NotReadableError("matrix rows of different length")
        if environment == "vmatrix":
            return determinant([row.args for row in rows])
        return Node("matrix", tuple(rows))
