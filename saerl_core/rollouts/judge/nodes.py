"""The tree of an expression, and how numbers get into it."""

from dataclasses import dataclass
from fractions import Fraction

from saerl_core.rollouts.judge.errors import NotReadableError, TooLargeError

_MAX_EXPONENT = 20_000  # of 1e20000
_MAX_DIGITS = 4000  # Python refuses to read longer integers


@dataclass(frozen=True, slots=True)
class Node:
    """One operation; `value` holds a number, `name` a symbol's or a function's name."""

    op: str
    args: tuple["Node", ...] = ()
    value: Fraction | None = None
    name: str = ""

    def symbols(self) -> frozenset[str]:
        """Return the names of all symbols below."""
        if self.op == "symbol":
            return frozenset((self.name,))
        return frozenset().union(*(arg.symbols() for arg in self.args))

    def operations(self) -> frozenset[str]:
        """Return every operation and function name below."""
        return frozenset((self.op, self.name)).union(*(arg.operations() for arg in self.args))


def number(value: Fraction | int) -> Node:
    """Return the node of a rational number."""
    return Node("number", value=Fraction(value))


def number_of(text: str) -> Fraction:
    """Return the value of a number token; commas part thousands, brackets hold what repeats.

    Raises:
        NotReadableError: a thousand has the wrong number of digits.
    """
    text = text.replace(",", "")
    if "(" in text:
        whole, _, rest = text.partition(".")
        fixed, _, repeating = rest.rstrip(")").partition("(")
        period = Fraction(int(repeating), (10 ** len(repeating) - 1) * 10 ** len(fixed))
        return Fraction(int(whole or 0)) + Fraction(int(fixed or 0), 10 ** len(fixed)) + period
    mantissa, _, exponent = text.lower().partition("e")
    if len(exponent) > 6 or abs(int(exponent or 0)) > _MAX_EXPONENT or len(mantissa) > _MAX_DIGITS:
        raise TooLargeError
    power = Fraction(10 ** abs(int(exponent or 0)))
    return Fraction(mantissa) / power if exponent.startswith("-") else Fraction(mantissa) * power


def signed(sign: str, node: Node) -> Node:
    """Return the node behind a sign: `+`, `-`, `pm` or `mp`."""
    if sign == "+":
        return node
    if sign == "-":
        return number(-node.value) if node.op == "number" and node.value is not None else Node("neg", (node,))
    return Node("plus_minus" if sign == "pm" else "minus_plus", (node,))


def determinant(rows: list[tuple[Node, ...]]) -> Node:
    """Expand a determinant of up to four rows along its first row."""
    if len(rows) != len(rows[0]) or len(rows) > 4:
        raise NotReadableError("a determinant of this size")
    if len(rows) == 1:
        return rows[0][0]
    total: Node | None = None
    for k, cell in enumerate(rows[0]):
        minor = determinant([row[:k] + row[k + 1 :] for row in rows[1:]])
        term = signed("-" if k % 2 else "+", Node("mul", (cell, minor)))
        total = term if total is None else Node("add", (total, term))
    assert total is not None
    return total
