"""Values of expressions: exact where they are rational, else with two high precisions; equality without rounding.

Two expressions with symbols are equal when they are equal at several points (Schwartz-Zippel): rational ones exactly.
"""

import hashlib
from fractions import Fraction
from functools import lru_cache

import mpmath

from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.nodes import Node
from saerl_core.rollouts.judge.numbers import BASE_OF_LOG, Point, UndefinedError, approximate, exact, has_bare_log

_DIGITS = (60, 120)
_AGREE = mpmath.mpf(10) ** -40  # relative difference of two values that are the same number
_SURE = mpmath.mpf(10) ** -110
_LARGE = mpmath.mpf(10) ** 20
_MAX_DIGITS = 4000
_POINTS = 3


def equal(one: Node, other: Node) -> bool | None:
    """Tell whether two expressions are the same number or function; None where it depends on the domain.

    `sqrt(x^2)` and `x` agree for positive x only: None.

    Raises:
        NotReadableError: an operation has no value (a matrix of other size, an infinity inside a sum).
        TooLargeError: a number has more than 200,000 bits.
    """
    if one == other:
        return True
    if is_matrix(one) or is_matrix(other):
        return _equal_matrices(one, other)
    symbols = sorted(one.symbols() | other.symbols())
    bare_log = any("function" in node.operations() and has_bare_log(node) for node in (one, other))
    if not symbols and not bare_log:
        return _equal_at(one, other, {})
    names = [*symbols, BASE_OF_LOG] if bare_log else symbols
    at_positive = [_try_equal_at(one, other, _point(names, k, 1)) for k in range(_POINTS)]
    known = [agree for agree in at_positive if agree is not None]
    if not known:
        return None
    if not all(known):
        return None if bare_log and not symbols else _at_integers(one, other, names)
    if (one.operations() | other.operations()) & {"floor", "ceil"}:  # steps are at whole numbers
        whole = [_try_equal_at(one, other, {n: Fraction(2 + k + 3 * i) for i, n in enumerate(names)}) for k in range(2)]
        if False in whole:
            return False
    at_negative = (
        [_try_equal_at(one, other, _point(symbols, k, -1)) for k in range(_POINTS)] if not bare_log else [True]
    )
    return None if any(agree is False for agree in at_negative) else True


def _at_integers(one: Node, other: Node, names: list[str]) -> bool | None:
    """Tell False from "equal for whole numbers only" (`(-1)^n` and `cos(n pi)`)."""
    integer_like = one.operations() | other.operations()
    if not integer_like & {"pow", "factorial", "binomial", "sin", "cos", "floor"}:
        return False
    points = [{name: Fraction(2 + k + 3 * i) for i, name in enumerate(names)} for k in range(4)]
    found = [_try_equal_at(one, other, point) for point in points]
    return None if found and all(agree is True for agree in found) else False


def _try_equal_at(one: Node, other: Node, point: Point) -> bool | None:
    try:
        return _equal_at(one, other, point)
    except UndefinedError:
        return None


def _equal_at(one: Node, other: Node, point: Point) -> bool:
    if "infinity" in one.operations() | other.operations():
        return _infinite(one) == _infinite(other) != 0
    first, second = exact(one, point), exact(other, point)
    if first is not None and second is not None:
        return first == second
    return _agree(one, other, point)


def _infinite(node: Node) -> int:
    """Return the sign of plus or minus infinity, 0 for anything finite."""
    while node.op == "bracket":
        node = node.args[0]
    if node.op == "infinity":
        return 1
    if node.op == "neg":
        return -_infinite(node.args[0])
    if "infinity" in node.operations():
        raise NotReadableError("infinity inside an expression")
    return 0


def _agree(one: Node, other: Node, point: Point) -> bool:
    """Compare at two precisions: a difference that is only noise shrinks with the precision, a real one stays."""
    gaps = []
    for digits in _DIGITS:
        with mpmath.workdps(digits):
            first, second = approximate(one, point), approximate(other, point)
            gaps.append((abs(first - second), max(abs(first), abs(second))))
    (coarse, _), (fine, size) = gaps
    if fine == 0 or fine <= size * _AGREE:
        return (fine <= size * _SURE and size < _LARGE) or _still_agree(one, other, point, size)
    noise = (coarse or mpmath.mpf(10) ** -75) * mpmath.mpf(10) ** -30  # two tiny numbers do not shrink: e^-500, e^-501
    return bool(coarse < _AGREE and fine < noise)


def _still_agree(one: Node, other: Node, point: Point, size: mpmath.mpf) -> bool:
    """Look once more, with so many digits that a one beside a number of this size is seen: sqrt(10^100 + 1).

    Raises:
        NotReadableError: the numbers are too large for that.
    """
    digits = 300 + (4 * max(0, int(mpmath.log10(size))) if size else 0)
    if digits > _MAX_DIGITS:
        raise NotReadableError("two numbers that are equal in all digits that were looked at")
    with mpmath.workdps(digits):
        first, second = approximate(one, point), approximate(other, point)
        return bool(abs(first - second) <= max(abs(first), abs(second)) * mpmath.mpf(10) ** (90 - digits))


def _point(names: list[str], k: int, sign: int) -> dict[str, Fraction]:
    """Return the same unremarkable numbers at every call: between .3 and 3.3, other ones for each name and k."""
    values = {}
    for name in names:
        digest = int.from_bytes(hashlib.sha256(f"{name}/{k}".encode()).digest()[:4], "big")
        values[name] = sign * (Fraction(3, 10) + Fraction(digest % 2999, 1009))
    return values


# --- matrices


def is_matrix(node: Node) -> bool:
    """Tell whether the expression is a matrix and no number."""
    if node.op == "matrix":
        return True
    return node.op in ("bracket", "neg", "mul", "div", "add") and any(is_matrix(arg) for arg in node.args)


def cells(node: Node) -> tuple[tuple[Node, ...], ...]:
    """Return the rows of a matrix expression: a matrix, times numbers, plus matrices.

    Raises:
        NotReadableError: sizes differ, or two matrices are multiplied.
    """
    match node.op:
        case "matrix":
            return tuple(row.args for row in node.args)
        case "bracket":
            return cells(node.args[0])
        case "neg":
            return tuple(tuple(Node("neg", (cell,)) for cell in row) for row in cells(node.args[0]))
        case "mul" | "div":
            return _scaled(node)
        case "add" if all(map(is_matrix, node.args)):
            one, other = (cells(arg) for arg in node.args)
            if [len(row) for row in one] == [len(row) for row in other]:
                pairs = (zip(r, s, strict=True) for r, s in zip(one, other, strict=True))
                return tuple(tuple(Node("add", pair) for pair in row) for row in pairs)
    raise NotReadableError("matrices of different size, or a matrix and a number in one sum")


def _scaled(node: Node) -> tuple[tuple[Node, ...], ...]:
    one, other = node.args
    if is_matrix(one) == is_matrix(other) or (is_matrix(other) and node.op == "div"):
        raise NotReadableError("a product of matrices")
    if is_matrix(one):
        return tuple(tuple(Node(node.op, (cell, other)) for cell in row) for row in cells(one))
    return tuple(tuple(Node(node.op, (one, cell)) for cell in row) for row in cells(other))


def _equal_matrices(one: Node, other: Node) -> bool | None:
    if not (is_matrix(one) and is_matrix(other)):
        return False
    first, second = cells(one), cells(other)
    if [len(row) for row in first] != [len(row) for row in second]:
        return False
    found = [equal(a, b) for r, s in zip(first, second, strict=True) for a, b in zip(r, s, strict=True)]
    return None if None in found and False not in found else all(found)


@lru_cache(maxsize=4096)
def sign_of(node: Node) -> int:
    """Return -1, 0 or 1 for a real number without symbols.

    Raises:
        NotReadableError: the number is complex or has symbols.
    """
    if node.symbols() or has_bare_log(node):
        raise NotReadableError("a number is expected")
    infinite = _infinite(node)
    if infinite:
        return infinite
    value = exact(node, {})
    if value is None:
        with mpmath.workdps(_DIGITS[0]):
            value = approximate(node, {})
        if abs(mpmath.im(value)) > mpmath.mpf(10) ** -40:
            raise NotReadableError("a real number is expected")
        value = mpmath.re(value)
        if abs(value) < mpmath.mpf(10) ** -50:
            return 0
    return (value > 0) - (value < 0)
