"""Moderate mixing: adjacent batches exchange their tails."""

from collections.abc import Sequence

from saerl_core.plan.batches import Batch


def swap_tails(batches: Sequence[Batch], n_swap: int) -> list[tuple[Batch, frozenset[str]]]:
    """Exchange the last `n_swap` prompts of batches 0 and 1, of 2 and 3, and so on; the odd last one stays.

    Pairs are disjoint. In a chain (0-1, then 1-2, ...) the first tail would be handed on from batch to batch to the end
    of the plan; in pairs no prompt moves by more than one step, and at most `n_swap` prompts of a batch are mixed. With
    `n_swap` above half a batch the majority changes sides, which is the same plan with the pair's order exchanged.

    Returns each batch with the set of its prompts that came from the neighbour.
    """
    mixed = [(b, frozenset[str]()) for b in batches]
    if n_swap == 0:
        return mixed
    for i in range(0, len(batches) - 1, 2):
        left, right = batches[i], batches[i + 1]
        mixed[i] = _with_tail(left, right.prompt_ids[-n_swap:])
        mixed[i + 1] = _with_tail(right, left.prompt_ids[-n_swap:])
    return mixed


def _with_tail(batch: Batch, tail: tuple[str, ...]) -> tuple[Batch, frozenset[str]]:
    return Batch(batch.prompt_ids[: -len(tail)] + tail, batch.group), frozenset(tail)
