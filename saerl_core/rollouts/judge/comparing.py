"""Do two answers say the same? True only where it is shown; None where it depends on what nobody said."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from saerl_core.rollouts.judge.equations import as_equations, same_congruence, same_relation
from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.evaluating import cells, equal, is_matrix
from saerl_core.rollouts.judge.nodes import Node, number
from saerl_core.rollouts.judge.numbers import exact
from saerl_core.rollouts.judge.reals import as_reals, compare
from saerl_core.rollouts.judge.structures import readings
from saerl_core.rollouts.judge.units import Unit
from saerl_core.rollouts.judge.values import (
    Based,
    Choice,
    Clock,
    Congruence,
    Items,
    Named,
    Piece,
    Quantity,
    Ratio,
    Reals,
    Relation,
    Value,
    Words,
)

_UNORDERED = frozenset(("{}", "", "boxes", "pm", "or"))
_HUNDRED = number(100)


def same(gold: Value, answer: Value) -> bool | None:
    """Tell whether the answer says what the gold says; None where the two readings do not decide it.

    Raises:
        NotReadableError: an operation has no value.
        TooLargeError: a number has too many digits.
    """
    for kind, compare_kind in _RULES:
        if isinstance(gold, kind) or isinstance(answer, kind):
            return compare_kind(gold, answer)
    raise NotReadableError("no rule for these two")


# --- quantities


def _quantities(gold: Value, answer: Value) -> bool | None:
    if not (isinstance(gold, Quantity) and isinstance(answer, Quantity)):
        return False
    agree = _numbers(gold, answer)
    if gold.unit is None or answer.unit is None or gold.unit == answer.unit:
        return agree
    if gold.unit.known and answer.unit.known:
        if gold.unit.dimension() != answer.unit.dimension():
            return False
        return equal(_scaled(gold.node, gold.unit), _scaled(answer.node, answer.unit))
    return None if agree else agree  # "5 boys" and "5 children": nobody knows


def _scaled(node: Node, unit: Unit) -> Node:
    return Node("mul", (node, number(unit.size())))


def _numbers(gold: Quantity, answer: Quantity) -> bool | None:
    agree = equal(gold.node, answer.node)
    if gold.percent == answer.percent:
        return agree or _as_degrees(gold, answer, agree)
    if gold.unit is not None or answer.unit is not None:
        return None if agree else False  # "20 students" and 20 %
    if agree:
        return None if _is_small(gold.node) else True
    one, other = (gold.node, answer.node) if gold.percent else (answer.node, gold.node)
    return equal(Node("div", (one, _HUNDRED)), other)


def _is_small(node: Node) -> bool:
    """Tell whether a number is at most 1 and may be a share itself: .5 is no .5 %."""
    value = None if node.symbols() else exact(node, {})
    return value is not None and abs(value) <= 1


def _as_degrees(gold: Quantity, answer: Quantity, otherwise: bool | None) -> bool | None:
    """Compare degrees with an angle that is written with pi."""
    for one, other in ((gold, answer), (answer, gold)):
        in_degrees = one.unit is not None and one.unit.powers == (("degree", 1),) and other.unit is None
        if in_degrees and "pi" in other.node.operations():
            return equal(Node("degrees", (one.node,)), other.node)
    return otherwise


# --- names, letters, times


def _named(gold: Value, answer: Value) -> bool | None:
    if isinstance(gold, Named) and isinstance(answer, Named):
        agree = same(gold.value, answer.value)
        if gold.name == answer.name:
            return agree
        return None if agree else as_equations(gold, answer)
    if isinstance(gold, Relation) or isinstance(answer, Relation):
        return as_equations(gold, answer)
    one, other = (gold, answer) if isinstance(gold, Named) else (answer, gold)
    if isinstance(other, Items) and {v.name for v in other.values if isinstance(v, Named)} - {getattr(one, "name", "")}:
        return None
    if isinstance(gold, Named):
        return same(gold.value, answer)
    return same(gold, answer.value) if isinstance(answer, Named) else None


def _words(gold: Value, answer: Value) -> bool | None:
    return isinstance(gold, Words) and isinstance(answer, Words) and gold.text == answer.text


def _choices(gold: Value, answer: Value) -> bool | None:
    if isinstance(gold, Choice) and isinstance(answer, Choice):
        return gold.letters == answer.letters
    option, other = (gold, answer) if isinstance(gold, Choice) else (answer, gold)
    assert isinstance(option, Choice)
    if option is gold and isinstance(other, Quantity) and other.node.op == "symbol" and other.unit is None:
        return option.letters == {other.node.name.upper()}  # "c" for C
    if option.rest:
        found = [_try_same(reading, other) for reading in _try_readings(option.rest)]
        return True if True in found else None if None in found or not found else False
    return False


def _try_readings(text: str) -> tuple[Value, ...]:
    try:
        return readings(text)
    except NotReadableError:
        return ()


def _try_same(one: Value, other: Value) -> bool | None:
    return None if isinstance(one, Choice) else same(one, other)


def _based(gold: Value, answer: Value) -> bool | None:
    if isinstance(gold, Based) and isinstance(answer, Based):
        return gold.value == answer.value
    based, other = (gold, answer) if isinstance(gold, Based) else (answer, gold)
    if not isinstance(based, Based) or not isinstance(other, Quantity) or other.node.symbols():
        return False
    agree = equal(number(based.value), other.node)
    return agree if based.base == 10 else None  # the base is missing: digits or value, nobody knows


def _clocks(gold: Value, answer: Value) -> bool | None:
    if not (isinstance(gold, Clock) and isinstance(answer, Clock)):
        return None if isinstance(gold, Ratio) or isinstance(answer, Ratio) else False
    if (gold.hour, gold.minute, gold.second) != (answer.hour, answer.minute, answer.second):
        return False
    if gold.half == answer.half:
        return True
    return None if not gold.half or not answer.half else False


def _ratios(gold: Value, answer: Value) -> bool | None:
    if isinstance(gold, Ratio) and isinstance(answer, Ratio):
        if len(gold.parts) != len(answer.parts):
            return False
        return _all(
            equal(Node("mul", (a, answer.parts[0])), Node("mul", (b, gold.parts[0])))
            for a, b in zip(gold.parts, answer.parts, strict=True)
        )
    ratio, other = (gold, answer) if isinstance(gold, Ratio) else (answer, gold)
    if isinstance(ratio, Ratio) and isinstance(other, Quantity) and len(ratio.parts) == 2 and not other.percent:
        return equal(Node("div", ratio.parts), other.node)
    return False


# --- sets and several values


def _sets(gold: Value, answer: Value) -> bool | None:
    first, second = as_reals(gold), as_reals(answer)
    if first is None or second is None:
        return False
    agree = len(first.pieces) == len(second.pieces) and all(
        _same_piece(a, b) for a, b in zip(first.pieces, second.pieces, strict=True)
    )
    if agree and first.variable and second.variable and first.variable != second.variable:
        return None
    return agree


def _same_piece(one: Piece, other: Piece) -> bool:
    if (one.lower_closed, one.upper_closed) != (other.lower_closed, other.upper_closed):
        return False
    return compare(one.lower, other.lower) == 0 == compare(one.upper, other.upper)


def _items(gold: Value, answer: Value) -> bool | None:
    if not isinstance(gold, Items) or not isinstance(answer, Items):
        return _item_and_other(gold, answer)
    if all(isinstance(v, Named) for v in (*gold.values, *answer.values)):
        return _by_name(gold, answer)
    ordered = [items.brackets not in _UNORDERED for items in (gold, answer)]
    named = [any(isinstance(v, Named) for v in items.values) for items in (gold, answer)]
    if not any(ordered) and not any(named) and len(gold.values) != len(answer.values):
        gold, answer = (replace(items, values=_distinct(items.values)) for items in (gold, answer))
    if len(gold.values) != len(answer.values):
        return False
    if any(named) or (any(ordered) and "{}" not in (gold.brackets, answer.brackets)):
        if all(ordered) and gold.brackets != answer.brackets:
            return False
        agree = _all(same(a, b) for a, b in zip(gold.values, answer.values, strict=True))
        return None if agree and _is_doubtful(gold, answer) else agree
    if any(ordered):
        return False  # a pair is no set
    return _matched(gold.values, answer.values)


def _is_doubtful(gold: Items, answer: Items) -> bool:
    """Tell whether equal places need not be equal values: names out of order, a pair for two roots, an interval."""
    names = [v.name for v in answer.values if isinstance(v, Named)]
    if names != sorted(names) and not any(isinstance(v, Named) for v in gold.values):
        return True
    brackets = {gold.brackets, answer.brackets}
    return "pm" in brackets or ("" in brackets and bool(brackets & {"[]", "(]", "[)"}))


def _item_and_other(gold: Value, answer: Value) -> bool | None:
    items, other = (gold, answer) if isinstance(gold, Items) else (answer, gold)
    assert isinstance(items, Items)
    if isinstance(other, Quantity) and is_matrix(other.node):
        rows = cells(other.node)
        if items.brackets in _UNORDERED or (len(rows) > 1 and len(rows[0]) > 1):
            return False
        flat = [cell for row in rows for cell in row]
        return len(flat) == len(items.values) and _all(
            same(Quantity(cell), value) for cell, value in zip(flat, items.values, strict=True)
        )
    values = _distinct(items.values) if items.brackets in ("", "boxes") else items.values
    if len(values) == 1:
        return same(values[0], other) if gold is items else same(other, values[0])
    return False


def _by_name(gold: Items, answer: Items) -> bool | None:
    golds = {v.name: v.value for v in gold.values if isinstance(v, Named)}
    answers = {v.name: v.value for v in answer.values if isinstance(v, Named)}
    if (gold.brackets == "or") != (answer.brackets == "or"):
        return None  # one of two, and both of them
    if len(golds) != len(gold.values) or len(answers) != len(answer.values):
        return None  # a name with two values
    if golds.keys() != answers.keys():
        return False if len(golds) != len(answers) else None
    return _all(same(value, answers[name]) for name, value in golds.items())


def _matched(golds: Sequence[Value], answers: Sequence[Value]) -> bool | None:
    """Pair every gold with an answer of its own; equality is transitive, so that the first match will do."""
    left = list(answers)
    doubt = False
    for gold in golds:
        found = [same(gold, answer) for answer in left]
        if True in found:
            left.pop(found.index(True))
        elif None in found:
            doubt = True
        else:
            return False
    return None if doubt else True


def _distinct(values: Sequence[Value]) -> tuple[Value, ...]:
    """Return the values without repetitions: in a list of solutions each counts once."""
    kept: list[Value] = []
    for value in values:
        if not any(same(value, other) for other in kept):
            kept.append(value)
    return tuple(kept)


def _all(found: Iterable[bool | None]) -> bool | None:
    values = list(found)
    return False if False in values else None if None in values else True


_RULES: tuple[tuple[type, Callable[[Value, Value], bool | None]], ...] = (  # the first kind on either side decides
    (Named, _named),
    (Choice, _choices),
    (Words, _words),
    (Based, _based),
    (Clock, _clocks),
    (Ratio, _ratios),
    (Congruence, same_congruence),
    (Relation, same_relation),
    (Reals, _sets),
    (Items, _items),
    (Quantity, _quantities),
)
