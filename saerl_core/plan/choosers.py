"""How an online strategy chooses: one small class each, all of one shape."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

Learnt = dict[str, list[float] | list[int] | list[list[float]]]  # what was learnt, as JSON
Indices = Int64[np.ndarray, " _"]
Rates = Float64[np.ndarray, " _"]


@dataclass(frozen=True)
class Reasons:
    """Why each prompt of a batch was taken: how sure its predicted pass rate is, and what it was taken for."""

    sd: Rates  # standard deviation of the pass rate that is believed of it
    why: tuple[str, ...]  # one of WHY


WHY = ("warm-up", "expected to teach", "explored")


class Chooser(Protocol):
    """Chooses among eligible prompts and learns from their pass rates; prompts are indices into the candidates."""

    def choose(self, step: int, eligible: Indices, n: int, rng: np.random.Generator) -> Indices:
        """Return `n` different ones of `eligible`, the most wanted first."""
        ...

    def predicted(self, index: Indices) -> Rates | None:
        """Return the pass rates that are expected now; None for a strategy that predicts none."""
        ...

    def observe(self, step: int, index: Indices, n_rollouts: Indices, n_correct: Indices) -> None:
        """Learn from one finished step."""
        ...

    def state(self) -> Learnt:
        """Return everything that was learnt, as JSON."""
        ...

    def load(self, state: Learnt) -> None:
        """Restore what `state` returned."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A chooser that can say why it took what it took."""

    def reasons(self, step: int, chosen: Indices) -> Reasons:
        """Return the reasons of the batch that `choose` has just returned, in its order."""
        ...
