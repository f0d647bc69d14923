"""Quantities: an expression with a currency in front, or a per cent sign, degrees or a unit behind it."""

from collections.abc import Sequence

from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.expressions import parse
from saerl_core.rollouts.judge.labels import is_product
from saerl_core.rollouts.judge.lexing import Token
from saerl_core.rollouts.judge.nodes import Node, number
from saerl_core.rollouts.judge.tokens import trim
from saerl_core.rollouts.judge.units import (
    CURRENCIES,
    LETTERS,
    SCALES,
    TEXT_LETTERS,
    Unit,
    is_unit_word,
    named,
    parse_unit,
)
from saerl_core.rollouts.judge.values import Quantity, Value

_TEMPERATURES = {"C": "celsius", "F": "fahrenheit"}


def read_quantity(tokens: Sequence[Token]) -> Quantity:
    """Return the quantity.

    Raises:
        NotReadableError: the expression or the unit is not understood.
    """
    tokens = list(tokens)
    tokens, currency = _currency(tokens)
    if (compound := _compound(tokens)) is not None:
        return compound
    tokens, percent = _percent(tokens)
    tokens, temperature = _temperature(tokens)
    at = _unit_start(tokens)
    scale, behind = _scale(tokens[at:])
    unit = parse_unit(behind) if behind else None
    node = parse(trim(tokens[:at]))
    if scale != 1:
        node = Node("mul", (node, number(scale)))
    if node.op == "degrees" and unit is None:
        node, unit = node.args[0], named(temperature or "degree")
    if node.op == "neg" and node.args[0].op == "degrees" and unit is None:
        node, unit = Node("neg", node.args[0].args), named(temperature or "degree")
    return Quantity(_unwrapped(node), unit if currency is None else named(currency), percent)


def _scale(tokens: list[Token]) -> tuple[int, list[Token]]:
    """Read "million" and its like as factors; return their product and what stands behind them."""
    scale, rest = 1, list(tokens)
    while rest and rest[0].kind in ("word", "text"):
        first, *others = rest[0].text.strip().split(" ")
        if first.lower() not in SCALES:
            break
        scale *= SCALES[first.lower()]
        rest = ([Token(rest[0].kind, " ".join(others), True)] if others else []) + rest[1:]
    return scale, rest


def _unwrapped(node: Node) -> Node:
    while node.op == "bracket":
        node = node.args[0]
    return node


def _currency(tokens: list[Token]) -> tuple[list[Token], str | None]:
    at = 1 if tokens and tokens[0].text == "-" else 0
    if len(tokens) > at + 1 and tokens[at].text in ("US", "USD") and tokens[at + 1].text == "\\$":
        tokens = tokens[:at] + tokens[at + 1 :]
    if len(tokens) > at and tokens[at].text in CURRENCIES:
        return tokens[:at] + tokens[at + 1 :], CURRENCIES[tokens[at].text]
    return tokens, None


def _percent(tokens: list[Token]) -> tuple[list[Token], bool]:
    if len(tokens) > 1 and tokens[-1].text == "%":
        return tokens[:-1], True
    if (
        len(tokens) > 1
        and tokens[-1].kind in ("word", "text")
        and tokens[-1].text.strip().lower() in ("percent", "per cent", "pct")
    ):
        return tokens[:-1], True
    return tokens, False


def _temperature(tokens: list[Token]) -> tuple[list[Token], str | None]:
    if len(tokens) > 2 and tokens[-1].text in _TEMPERATURES and any(t.text == "circ" for t in tokens[-3:-1]):
        return tokens[:-1], _TEMPERATURES[tokens[-1].text]
    return tokens, None


def _unit_start(tokens: Sequence[Token]) -> int:
    """Return where the unit begins: at the first text or word that is no factor of the expression."""
    for at, token in enumerate(tokens):
        if at == 0:
            if token.kind in ("text", "word") and len(token.text) > 1 and not _short_product(token):
                raise NotReadableError("words without a number")
            continue
        if not _begins_unit(tokens, at):
            continue
        if at >= 2 and tokens[at - 1].text == "{" and tokens[at - 2].text == "frac":
            return at - 2
        if tokens[at - 1].text in ("(", "{") and at >= 2 and tokens[at - 2].kind != "command":
            return at - 1
        return at
    return len(tokens)


def _begins_unit(tokens: Sequence[Token], at: int) -> bool:
    token = tokens[at]
    text = token.text.strip()
    if token.text in ("€", "£", "¥", "¢", "\\$"):
        return True
    if token.kind == "text":
        return len(text) > 1 or text in TEXT_LETTERS
    if token.kind == "word":
        counted = token.spaced and tokens[at - 1].kind == "number" and len(text) > 2 and not is_product(text)
        return is_unit_word(text) or counted or not _short_product(token)
    if token.kind == "letter" and token.spaced and text in LETTERS and tokens[at - 1].kind == "number":
        return at == len(tokens) - 1 or tokens[at + 1].text in ("^", "/")
    return False


def _short_product(token: Token) -> bool:
    return token.kind == "word" and token.text.isascii() and len(token.text) <= 3


def _compound(tokens: Sequence[Token]) -> Quantity | None:
    """Read "3 hours 20 minutes": numbers with known units of one dimension, added up in its first unit."""
    starts = [
        i
        for i, t in enumerate(tokens)
        if t.kind == "number" and (i == 0 or tokens[i - 1].kind in ("text", "word", "letter"))
    ]
    if len(starts) < 2 or starts[0] != 0:
        return None
    ends = [*starts[1:], len(tokens)]
    parts: list[Value] = []
    for start, end in zip(starts, ends, strict=True):
        if end - start < 2:
            return None
        try:
            unit = parse_unit(tokens[start + 1 : end])
        except NotReadableError:
            return None
        parts.append(Quantity(parse(tokens[start : start + 1]), unit))
    return sum_of_parts(parts)


def sum_of_parts(values: Sequence[Value]) -> Quantity | None:
    """Return the sum of quantities with different known units of one dimension; None for anything else."""
    units: list[Unit] = []
    total: Node | None = None
    for value in values:
        if not isinstance(value, Quantity) or value.unit is None or not value.unit.known or value.percent:
            return None
        units.append(value.unit)
        term = Node("mul", (value.node, number(value.unit.size())))
        total = term if total is None else Node("add", (total, term))
    if total is None or len({u.dimension() for u in units}) != 1 or len(set(units)) != len(units):
        return None
    return Quantity(Node("div", (total, number(units[0].size()))), units[0])
