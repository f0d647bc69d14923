"""What a static strategy gives: batches in order, and how much of its tail each exchanges with a neighbour."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Batch:
    """One training step's prompts in slot order, and the group (cluster) that it was cut from."""

    prompt_ids: tuple[str, ...]
    group: int


@dataclass(frozen=True)
class Order:
    """An epoch's batches, all full, in training order; adjacent ones exchange their last `n_swap` prompts."""

    batches: tuple[Batch, ...]
    n_swap: int = 0


def cut(prompt_ids: Sequence[str], batch: int, group: int) -> tuple[list[Batch], list[str]]:
    """Cut a list into consecutive full batches; return them and the remainder (fewer than `batch` prompts)."""
    n_full = len(prompt_ids) // batch
    batches = [Batch(tuple(prompt_ids[i * batch : (i + 1) * batch]), group) for i in range(n_full)]
    return batches, list(prompt_ids[n_full * batch :])
