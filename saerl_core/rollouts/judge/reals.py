"""Sets of real numbers as sorted unions of intervals."""

from collections.abc import Sequence
from functools import cmp_to_key, reduce

from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.evaluating import sign_of
from saerl_core.rollouts.judge.nodes import Node
from saerl_core.rollouts.judge.values import Items, Named, Piece, Quantity, Reals, Value

INFINITY = Node("infinity")
MINUS_INFINITY = Node("neg", (INFINITY,))
_MAX_PIECES = 20


def everything() -> Reals:
    """Return all real numbers."""
    return Reals((Piece(MINUS_INFINITY, INFINITY, False, False),))


def between(lower: Node, upper: Node, lower_closed: bool, upper_closed: bool, variable: str | None = None) -> Reals:
    """Return one interval; empty where the bounds are the wrong way round.

    Raises:
        NotReadableError: a bound is no real number.
    """
    order = compare(lower, upper)
    if order > 0 or (order == 0 and not (lower_closed and upper_closed)):
        return Reals((), variable)
    return Reals((Piece(lower, upper, lower_closed, upper_closed),), variable)


def compare(one: Node, other: Node) -> int:
    """Return -1, 0 or 1 as one bound is below, equal to or above the other."""
    infinities = [sign_of(n) if "infinity" in n.operations() else 0 for n in (one, other)]
    if any(infinities):
        return (infinities[0] > infinities[1]) - (infinities[0] < infinities[1])
    return sign_of(Node("add", (one, Node("neg", (other,)))))


def as_reals(value: Value) -> Reals | None:
    """Return the value as a set of numbers: an interval, a set in braces, a union; None for anything else."""
    if isinstance(value, Reals):
        return value
    if isinstance(value, Named) and isinstance(value.value, (Items, Reals)):
        inner = as_reals(value.value)
        return None if inner is None else Reals(inner.pieces, value.name)
    if not isinstance(value, Items):
        return None
    if value.values and value.brackets == "" and all(isinstance(v, Reals) for v in value.values):
        return _apart([v for v in value.values if isinstance(v, Reals)])
    nodes = [v.node for v in value.values if isinstance(v, Quantity) and v.unit is None]
    if len(nodes) != len(value.values) or any(node.symbols() for node in nodes):
        return None
    try:
        if value.brackets in ("{}", "", "boxes", "pm"):
            return operate("cup", [between(n, n, True, True) for n in nodes]) if nodes else Reals(())
        if len(nodes) != 2 or compare(nodes[0], nodes[1]) >= 0:
            return None
        return between(nodes[0], nodes[1], value.brackets[0] == "[", value.brackets[1] == "]")
    except NotReadableError:
        return None


def _apart(sets: Sequence[Reals]) -> Reals | None:
    """Return the union of sets that a comma joins, where they have one variable and no number in common."""
    if len({s.variable for s in sets}) > 1 or operate("cap", sets).pieces:
        return None
    return operate("cup", sets)


def operate(sign: str, sets: Sequence[Reals]) -> Reals:
    """Return the union (`cup`), intersection (`cap`) or difference (`setminus`) of the sets, from left to right."""
    one = {"cup": _union, "cap": _intersection, "setminus": _difference}[sign]
    variable = next((s.variable for s in sets if s.variable is not None), None)
    found = Reals(reduce(one, (s.pieces for s in sets)), variable)
    if len(found.pieces) > _MAX_PIECES:
        raise NotReadableError("too many intervals")
    return found


Pieces = tuple[Piece, ...]


def _union(one: Pieces, other: Pieces) -> Pieces:
    def order(a: Piece, b: Piece) -> int:
        return compare(a.lower, b.lower) or (b.lower_closed - a.lower_closed)

    merged: list[Piece] = []
    for piece in sorted((*one, *other), key=cmp_to_key(order)):
        last = merged[-1] if merged else None
        if last is None or not _touch(last, piece):
            merged.append(piece)
            continue
        ends = compare(last.upper, piece.upper)
        upper = last if ends >= 0 else piece
        closed = last.upper_closed or piece.upper_closed if ends == 0 else upper.upper_closed
        merged[-1] = Piece(last.lower, upper.upper, last.lower_closed, closed)
    return tuple(merged)


def _touch(left: Piece, right: Piece) -> bool:
    order = compare(left.upper, right.lower)
    return order > 0 or (order == 0 and (left.upper_closed or right.lower_closed))


def _intersection(one: Pieces, other: Pieces) -> Pieces:
    found: list[Piece] = []
    for a in one:
        for b in other:
            low, high = compare(a.lower, b.lower), compare(a.upper, b.upper)
            lower = a if low > 0 else b
            upper = a if high < 0 else b
            lower_closed = (a.lower_closed and b.lower_closed) if low == 0 else lower.lower_closed
            upper_closed = (a.upper_closed and b.upper_closed) if high == 0 else upper.upper_closed
            found.extend(between(lower.lower, upper.upper, lower_closed, upper_closed).pieces)
    return _union((), tuple(found))


def _difference(one: Pieces, other: Pieces) -> Pieces:
    for piece in other:
        below = Piece(MINUS_INFINITY, piece.lower, False, not piece.lower_closed)
        above = Piece(piece.upper, INFINITY, not piece.upper_closed, False)
        rest = tuple(p for p in (below, above) if not (_is_empty(p)))
        one = _intersection(one, rest)
    return one


def _is_empty(piece: Piece) -> bool:
    return compare(piece.lower, piece.upper) >= 0
