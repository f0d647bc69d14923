"""Plus-minus signs: an expression with one is two values."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.nodes import Node

_MAX_EXPANDED = 16


def both_signs(node: Node) -> list[Node]:
    """Return the expression with each choice of its signs; with a minus-plus sign all of them change together."""
    operations = node.operations()
    if not operations & {"plus_minus", "minus_plus"}:
        return [node]
    n = _count(node, "plus_minus")
    if "minus_plus" in operations or n == 1:
        return [_choose(node, itertools.repeat(upper)) for upper in (True, False)]
    if 2**n > _MAX_EXPANDED:
        raise NotReadableError("too many plus-minus signs")
    return [_choose(node, iter(signs)) for signs in itertools.product((True, False), repeat=n)]


def _count(node: Node, op: str) -> int:
    return (node.op == op) + sum(_count(arg, op) for arg in node.args)


def _choose(node: Node, uppers: Iterator[bool]) -> Node:
    if node.op in ("plus_minus", "minus_plus"):
        upper = next(uppers)
        inner = _choose(node.args[0], uppers)
        return inner if upper is (node.op == "plus_minus") else Node("neg", (inner,))
    return replace(node, args=tuple(_choose(arg, uppers) for arg in node.args)) if node.args else node
