"""Values of expressions at a point: exact where they are rational, else with mpmath's working precision."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil, comb, factorial, floor, gcd, isqrt, lcm
from typing import Any

import mpmath

from saerl_core.rollouts.judge.errors import NotReadableError, TooLargeError
from saerl_core.rollouts.judge.nodes import Node

MAX_BITS = 200_000  # of a rational number
_MAX_FACTORIAL = 15_000
BASE_OF_LOG = "log"  # the base of a bare \\log is 10 or e: a symbol of its own

Point = Mapping[str, Fraction]
Number = Any  # mpmath's mpf or mpc


class UndefinedError(Exception):
    """The expression has no value at this point."""


# --- exact values


def exact(node: Node, point: Point) -> Fraction | None:
    """Return the rational value, None where the value is (or may be) irrational.

    Raises:
        UndefinedError: division by zero and its like.
        TooLargeError: the value has too many bits.
    """
    if node.op == "number":
        return node.value
    if node.op == "symbol":
        return point[node.name]
    if node.op in ("constant", "plus_minus", "minus_plus", "infinity"):
        return None
    values = [exact(arg, point) for arg in node.args]
    if any(value is None for value in values):
        return None
    found = _exact_operation(node, [value for value in values if value is not None])
    if found is not None and max(found.numerator.bit_length(), found.denominator.bit_length()) > MAX_BITS:
        raise TooLargeError
    return found


def _exact_operation(node: Node, v: list[Fraction]) -> Fraction | None:
    if node.op == "function":
        return _exact_function(node.name, v)
    operation = _EXACT.get(node.op)
    return None if operation is None else operation(*v)


def _divided(top: Fraction, bottom: Fraction) -> Fraction:
    if bottom == 0:
        raise UndefinedError
    return top / bottom


def _exact_function(name: str, v: list[Fraction]) -> Fraction | None:
    if name in ("max", "min"):
        return max(v) if name == "max" else min(v)
    if name in ("gcd", "lcm") and all(x.denominator == 1 for x in v):
        return Fraction((gcd if name == "gcd" else lcm)(*(x.numerator for x in v)))
    return None


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator == 1:
        n = exponent.numerator
        if base == 0:
            if n < 0:
                raise UndefinedError
            return Fraction(1) if n == 0 else Fraction(0)
        bits = max(abs(base.numerator).bit_length(), base.denominator.bit_length())
        if abs(base) != 1 and abs(n) * max(1, bits - 1) > MAX_BITS:
            raise TooLargeError
        return base ** (n % 2 if abs(base) == 1 else n)
    if base < 0 or exponent.denominator > 64:
        return None
    top, bottom = _whole_root(base.numerator, exponent.denominator), _whole_root(base.denominator, exponent.denominator)
    if top is None or bottom is None or bottom == 0:
        return None
    return _power(Fraction(top, bottom), Fraction(exponent.numerator))


def _whole_root(value: int, degree: int) -> int | None:
    if degree == 2:
        root = isqrt(value)
        return root if root * root == value else None
    if value.bit_length() > 1000:
        return None
    guess = round(value ** (1 / degree)) if value.bit_length() < 900 else 0
    return next((r for r in (guess - 1, guess, guess + 1) if r >= 0 and r**degree == value), None)


def _factorial(value: Fraction) -> Fraction | None:
    if value.denominator != 1:
        return None
    if value < 0:
        raise UndefinedError
    if value > _MAX_FACTORIAL:
        raise TooLargeError
    return Fraction(factorial(value.numerator))


def _binomial(n: Fraction, k: Fraction) -> Fraction | None:
    if n.denominator != 1 or k.denominator != 1:
        return None
    if n < 0 or k < 0:
        raise UndefinedError
    if min(k, n - k) > _MAX_FACTORIAL or n.numerator.bit_length() * min(k, n - k) > MAX_BITS:
        raise TooLargeError
    return Fraction(comb(n.numerator, k.numerator))


_EXACT: dict[str, Callable[..., Fraction | None]] = {
    "bracket": lambda a: a,
    "add": lambda a, b: a + b,
    "neg": lambda a: -a,
    "mul": lambda a, b: a * b,
    "div": _divided,
    "pow": _power,
    "root": lambda a, n: _power(a, 1 / n) if n != 0 else None,
    "abs": abs,
    "floor": lambda a: Fraction(floor(a)),
    "ceil": lambda a: Fraction(ceil(a)),
    "factorial": _factorial,
    "binomial": _binomial,
}


# --- approximate values


def approximate(node: Node, point: Point) -> Number:
    """Return the value at mpmath's working precision, real or complex.

    Raises:
        UndefinedError: division by zero, the logarithm of zero.
        NotReadableError: an operation without a value.
        TooLargeError: a number has too many bits.
    """
    if node.op == "number" and node.value is not None:
        return mpmath.mpf(node.value.numerator) / node.value.denominator
    if node.op == "symbol":
        return mpmath.mpf(point[node.name].numerator) / point[node.name].denominator
    if node.op == "constant":
        return {"pi": mpmath.pi(), "e": mpmath.e(), "i": mpmath.mpc(0, 1)}[node.name]
    rational = _rational_part(node, point)
    if rational is not None:
        return mpmath.mpf(rational.numerator) / rational.denominator
    values = [approximate(arg, point) for arg in node.args]
    try:
        found = _operation(node, values, point)
    except (ZeroDivisionError, ValueError) as error:
        raise UndefinedError from error
    if not mpmath.isfinite(found):
        raise UndefinedError
    return found


def _rational_part(node: Node, point: Point) -> Fraction | None:
    return exact(node, point) if node.op in ("factorial", "binomial", "floor", "ceil") else None


def _operation(node: Node, v: list[Number], point: Point) -> Number:
    if node.op == "function":
        return _function(node.name, v, point)
    operation = _APPROXIMATE.get(node.op)
    if operation is None:
        raise NotReadableError(f"{node.op} has no value")
    return operation(*v)


def _gamma(value: Number) -> Number:
    if abs(value) > _MAX_FACTORIAL:
        raise TooLargeError
    return mpmath.gamma(value + 1)


def _approximate_power(base: Number, exponent: Number) -> Number:
    if abs(exponent) * abs(mpmath.log(abs(base), 2) if base != 0 else 0) > MAX_BITS:
        raise TooLargeError
    if base == 0 and mpmath.re(exponent) <= 0:
        raise UndefinedError
    return base**exponent


def _root(value: Number, degree: Number) -> Number:
    if mpmath.im(value) == 0 and value < 0 and degree == int(degree) and int(degree) % 2 == 1:
        return -mpmath.root(-value, int(degree))  # the real root of a negative number
    return value ** (1 / degree)


def _function(name: str, v: list[Number], point: Point) -> Number:
    x = v[0]
    if abs(x) > mpmath.mpf(10) ** 3000:
        raise TooLargeError
    if name == "exp":
        return _approximate_power(mpmath.e(), x)
    if name == "log":
        if len(v) == 2:
            return mpmath.log(x) / mpmath.log(v[1])
        unknown = point.get(BASE_OF_LOG, Fraction(2))
        return mpmath.log(x) / (mpmath.mpf(unknown.numerator) / unknown.denominator)
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](x)
    if name in ("max", "min"):
        if any(mpmath.im(value) != 0 for value in v):
            raise UndefinedError
        return max(v) if name == "max" else min(v)
    raise NotReadableError(f"{name} has no value here")


_FUNCTIONS = {
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "cot": mpmath.cot,
    "sec": mpmath.sec,
    "csc": mpmath.csc,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "arccot": mpmath.acot,
    "arcsec": mpmath.asec,
    "arccsc": mpmath.acsc,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "ln": mpmath.log,
    "lg": mpmath.log10,
}


_APPROXIMATE: dict[str, Callable[..., Number]] = {
    "bracket": lambda a: a,
    "add": lambda a, b: a + b,
    "neg": lambda a: -a,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": _approximate_power,
    "root": _root,
    "abs": abs,
    "degrees": lambda a: a * mpmath.pi / 180,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "factorial": _gamma,
    "binomial": mpmath.binomial,
}


def has_bare_log(node: Node) -> bool:
    """Tell whether a logarithm without a base stands in the expression."""
    if node.op == "function" and node.name == "log" and len(node.args) == 1:
        return True
    return any(has_bare_log(arg) for arg in node.args)
