"""Equations, inequalities and congruences: equal when one is a multiple of the other."""

from fractions import Fraction

from saerl_core.rollouts.judge.evaluating import equal
from saerl_core.rollouts.judge.nodes import Node, number
from saerl_core.rollouts.judge.numbers import UndefinedError, exact
from saerl_core.rollouts.judge.values import Congruence, Named, Quantity, Relation, Value


def as_equations(gold: Value, answer: Value) -> bool | None:
    """Compare two equations, one of which may name its left side: `y = 2x+1` and `2x - y + 1 = 0`."""
    sides = [_equation_of(value) for value in (gold, answer)]
    return None if sides[0] is None or sides[1] is None else same_relation(sides[0], sides[1])


def _equation_of(value: Value) -> Relation | None:
    if isinstance(value, Relation):
        return value
    if isinstance(value, Named) and isinstance(value.value, Quantity) and "(" not in value.name:
        return Relation("=", Node("symbol", name=value.name), value.value.node)
    return None


def same_congruence(gold: Value, answer: Value) -> bool | None:
    """Compare two congruences with the same left side; the right sides may differ by the modulus."""
    if not (isinstance(gold, Congruence) and isinstance(answer, Congruence)):
        return None
    if not equal(gold.modulus, answer.modulus) or not equal(gold.left, answer.left):
        return False
    values = [exact(node, {}) for node in (gold.right, answer.right, gold.modulus) if not node.symbols()]
    numbers = [value for value in values if value is not None]
    if len(numbers) < 3 or numbers[2] == 0:
        return equal(gold.right, answer.right)
    return (numbers[0] - numbers[1]) % numbers[2] == 0


def same_relation(gold: Value, answer: Value) -> bool | None:
    """Compare two equations or inequalities up to a constant factor; also `m+n = 29` with 29."""
    if isinstance(answer, Relation) and answer.sign == "=" and isinstance(gold, Quantity):
        return _value_of_sum(answer, gold)
    if not (isinstance(gold, Relation) and isinstance(answer, Relation)):
        return None
    if gold.sign != answer.sign:
        return False
    one, other = (Node("add", (r.left, Node("neg", (r.right,)))) for r in (gold, answer))
    names = sorted(one.symbols() | other.symbols())
    if not names:
        return None
    ratio = _constant_ratio(one, other, names)
    if ratio is None:
        return False if gold.sign != "ne" else None
    return ratio > 0 if gold.sign in ("<", "le") else True


def _constant_ratio(one: Node, other: Node, names: list[str]) -> Fraction | None:
    """Return the number r with one = r * other for all values of the symbols, or None."""
    for start in (2, 3, 5, 7):
        point = {name: Fraction(start + 3 * i, 1 + i) for i, name in enumerate(names)}
        try:
            first, second = exact(one, point), exact(other, point)
        except UndefinedError:
            continue
        if first is None or second is None:
            return Fraction(1) if equal(one, other) else Fraction(-1) if equal(Node("neg", (one,)), other) else None
        if first != 0 and second != 0:
            ratio = first / second
            return ratio if equal(one, Node("mul", (number(ratio), other))) else None
    return None


def _value_of_sum(answer: Relation, gold: Quantity) -> bool | None:
    """Accept `m+n = 29` for 29: a sum of letters on the left, the number on the right."""
    letters = answer.left.operations() <= {"add", "mul", "symbol", "", "bracket", *answer.left.symbols()}
    if not letters or answer.right.symbols() or gold.node.symbols():
        return None
    return equal(gold.node, answer.right)
