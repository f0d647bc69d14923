r"""Relations: `x = 5` names a value, `x > 3` is a set of numbers, `x^2 + y^2 = 1` stays an equation."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.evaluating import equal, sign_of
from saerl_core.rollouts.judge.expressions import parse
from saerl_core.rollouts.judge.lexing import Token
from saerl_core.rollouts.judge.nodes import Node, number
from saerl_core.rollouts.judge.numbers import UndefinedError, exact
from saerl_core.rollouts.judge.reals import INFINITY, MINUS_INFINITY, as_reals, between, operate
from saerl_core.rollouts.judge.tokens import enclosed, split, trim
from saerl_core.rollouts.judge.values import Items, Named, Quantity, Reals, Relation, Value

SIGNS = frozenset(("=", "<", ">", "le", "ge", "ne", "in", "approx", "not"))
_MERGED = {("<", "="): "le", (">", "="): "ge", ("!", "="): "ne", ("not", "="): "ne", ("=", "="): "="}
_MIRRORED = {">": "<", "ge": "le"}

_AROUND_CAPITALS = frozenset(("|", "frac", "{", "}", ":", "/", "angle", "triangle", "_", "'"))

Reader = Callable[[Sequence[Token]], Value]


def read_relation(parts: list[list[Token]], signs: list[str], read: Reader) -> Value:
    """Return what a chain of sides and signs says.

    Raises:
        NotReadableError: a side is missing or not understood, or the chain contradicts itself.
    """
    parts, signs = _merged(parts, signs)
    if signs == ["approx"] and trim(parts[0]) and name_of(parts[0]) is None:
        return _rounded(read(parts[0]), read(parts[1]))
    if "approx" in signs[1:]:  # "x = 1/3 = .33..." rounded: the exact side counts
        cut = signs.index("approx", 1)
        parts, signs = parts[: cut + 1], signs[:cut]
    signs = ["=" if sign == "approx" else sign for sign in signs]
    if any(not trim(part) for part in parts[1:]) or (not trim(parts[0]) and signs != ["="]):
        raise NotReadableError("a relation with a missing side")
    if not trim(parts[0]):
        return read(parts[1])
    if set(signs) == {"="}:
        return _equation(parts, read)
    if signs == ["in"]:
        return _membership(parts, read)
    if set(signs) <= {"<", ">", "le", "ge", "ne"}:
        return _inequality(parts, signs)
    raise NotReadableError("a chain of different relations")


def _rounded(exact_side: Value, rounded: Value) -> Value:
    """Return the exact side of an approximation, which its rounded side must be near."""
    if isinstance(exact_side, Quantity) and isinstance(rounded, Quantity):
        gap = Node("abs", (Node("add", (exact_side.node, Node("neg", (rounded.node,)))),))
        bound = Node("mul", (Node("abs", (exact_side.node,)), number(Fraction(1, 20))))
        if sign_of(Node("add", (gap, Node("neg", (bound,))))) <= 0:
            return exact_side
    raise NotReadableError("an approximation that is none")


def _merged(parts: list[list[Token]], signs: list[str]) -> tuple[list[list[Token]], list[str]]:
    r"""Join signs with nothing between them: `<=`, `\not=`."""
    merged_parts, merged_signs = [parts[0]], list[str]()
    i = 0
    while i < len(signs):
        pair = (signs[i], signs[i + 1]) if i + 1 < len(signs) and not parts[i + 1] else None
        if pair in _MERGED:
            merged_signs.append(_MERGED[pair])
            merged_parts.append(parts[i + 2])
            i += 2
        elif signs[i] == "=" and merged_parts[-1] and merged_parts[-1][-1].text == "!" and merged_parts[-1][-1].spaced:
            merged_parts[-1] = merged_parts[-1][:-1]
            merged_signs.append("ne")
            merged_parts.append(parts[i + 1])
            i += 1
        else:
            merged_signs.append(signs[i])
            merged_parts.append(parts[i + 1])
            i += 1
    return merged_parts, merged_signs


def _equation(parts: list[list[Token]], read: Reader) -> Value:
    names: list[str] = []
    while len(parts) > 1 and (name := name_of(parts[0])) is not None:
        names.append(name)
        parts = parts[1:]
    if len(parts) == 1 and names:
        value = read(parts[0])
        if len(names) == 1 and names[0].startswith("(") and isinstance(value, Items):
            return _by_place(names[0].strip("()").split(","), value)
        return Named(names[0], value) if len(names) == 1 else Items(tuple(Named(n, value) for n in names), "")
    if not names and len(parts) == 2 and (back := name_of(parts[1])) is not None:
        value = read(parts[0])
        if isinstance(value, Quantity) and not value.node.symbols():  # 5 = x
            return Named(back, value)
    nodes = [parse(trim(part)) for part in parts]
    if all(not node.symbols() for node in nodes):
        if not all(equal(nodes[-1], node) for node in nodes[:-1]):
            raise NotReadableError("an equation that is not true")
        value = read(parts[-1])
        return Named(names[0], value) if names else value
    if names:
        last = read(parts[-1])
        return Named(names[0], last)
    if len(nodes) != 2:
        raise NotReadableError("a chain of equations")
    return Relation("=", nodes[0], nodes[1])


def _by_place(names: list[str], value: Items) -> Value:
    """Return `(x, y) = (1, 2)` as x = 1 and y = 2; several tuples stay under one name."""
    if len(names) == len(value.values) and value.brackets == "()":
        return Items(tuple(Named(name, one) for name, one in zip(names, value.values, strict=True)), "()")
    return Named(f"({','.join(names)})", value)


def name_of(tokens: Sequence[Token]) -> str | None:
    r"""Return the name on the left of an equation: a letter with its index, `f(x)`, `(x, y)`, words; None otherwise."""
    tokens = trim(tokens)
    if not tokens:
        return None
    inner = enclosed(tokens, "(", ")")
    if inner is not None:
        parts, _ = split(inner, frozenset((",",)))
        names = [name for part in parts if (name := name_of(part)) is not None]
        return f"({','.join(names)})" if len(names) == len(parts) > 1 else None
    if all(t.kind in ("text", "word") for t in tokens):
        return " ".join(t.text.strip().lower() for t in tokens)
    if _is_measured(tokens):
        return "".join(t.text for t in tokens)
    if tokens[0].kind not in ("letter", "text", "word"):
        return None
    if len(tokens) == 1:
        return None if tokens[0].text in ("e", "i") else tokens[0].text
    return (
        tokens[0].text + "".join(t.text for t in tokens[1:] if t.text not in "{}") if _is_decoration(tokens) else None
    )


def _is_decoration(tokens: Sequence[Token]) -> bool:
    """Tell whether an index, primes or an argument in brackets follow the first token, and nothing else."""
    rest = list(tokens[1:])
    if rest[0].text == "_":
        closes = next((i for i, t in enumerate(rest) if t.text == "}"), 1) if rest[1:2] and rest[1].text == "{" else 1
        rest = rest[closes + 1 :]
    while rest and rest[0].text == "'":
        rest.pop(0)
    if len(rest) > 1 and rest[0].text == "^" and tokens[0].kind == "letter":  # f^{-1}(x)
        closes = next((i for i, t in enumerate(rest) if t.text == "}"), 1) if rest[1].text == "{" else 1
        rest = rest[closes + 1 :]
        return enclosed(rest, "(", ")") is not None
    return not rest or enclosed(rest, "(", ")") is not None


def _is_measured(tokens: Sequence[Token]) -> bool:
    r"""Tell whether capitals stand for a length, a ratio or a probability: `AB`, `|AB|`, `\frac{NO}{BO}`, `V_1:V_2`."""
    capitals = [t for t in tokens if t.kind in ("letter", "word") and t.text.isupper() and t.text.isascii()]
    others = [t for t in tokens if t not in capitals]
    allowed = all(t.text in _AROUND_CAPITALS or (t.kind == "number" and t.text.isdigit()) for t in others)
    return (
        bool(capitals)
        and allowed
        and not any(
            t.kind == "number" and (i == 0 or tokens[i - 1].text not in ("_", "{")) for i, t in enumerate(tokens)
        )
    )


def _membership(parts: list[list[Token]], read: Reader) -> Value:
    name = name_of(parts[0])
    if name is None:
        raise NotReadableError("a membership of an expression")
    value = read(parts[1])
    found = as_reals(value)
    if found is not None:
        return Reals(found.pieces, name)
    return Named(name, value)


def _inequality(parts: list[list[Token]], signs: list[str]) -> Value:
    nodes = [parse(trim(part)) for part in parts]
    links = [_link(a, sign, b) for a, sign, b in zip(nodes, signs, nodes[1:], strict=False)]
    solved = [_solved(link) for link in links]
    known = [s for s in solved if s is not None]
    if len(known) == len(links) and len({s.variable for s in known}) == 1:
        return operate("cap", known)
    if len(links) > 1:
        raise NotReadableError("a chain of inequalities in several variables")
    return links[0]


def _link(left: Node, sign: str, right: Node) -> Relation:
    if sign in _MIRRORED:
        left, right, sign = right, left, _MIRRORED[sign]
    return Relation("le" if sign == "le" else "<" if sign == "<" else "ne", left, right)


def _solved(link: Relation) -> Reals | None:
    """Solve an inequality that is linear in its one variable with rational numbers, or has the variable on its own."""
    names = link.left.symbols() | link.right.symbols()
    if len(names) != 1:
        return None
    (name,) = names
    bound, direction = _isolated(link, name) or _linear(link, name) or (None, 0)
    if bound is None:
        return None
    closed = link.sign == "le"
    try:
        sign_of(bound)
    except NotReadableError:
        return None
    if link.sign == "ne":
        below, above = between(MINUS_INFINITY, bound, False, False, name), between(bound, INFINITY, False, False, name)
        return operate("cup", [below, above])
    if direction > 0:  # variable below the bound
        return between(MINUS_INFINITY, bound, False, closed, name)
    return between(bound, INFINITY, closed, False, name)


def _isolated(link: Relation, name: str) -> tuple[Node, int] | None:
    if link.left.op == "symbol" and not link.right.symbols():
        return link.right, 1
    if link.right.op == "symbol" and not link.left.symbols():
        return link.left, -1
    return None


def _linear(link: Relation, name: str) -> tuple[Node, int] | None:
    difference = Node("add", (link.left, Node("neg", (link.right,))))
    try:
        values = [exact(difference, {name: Fraction(x)}) for x in (0, 1, 2, 5, -3)]
    except UndefinedError:
        return None
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        return None
    start, slope = known[0], known[1] - known[0]
    if slope == 0 or any(v != start + slope * x for v, x in zip(known, (0, 1, 2, 5, -3), strict=True)):
        return None
    return number(-start / slope), 1 if slope > 0 else -1
