"""How an online strategy chooses: one small class each, all of one shape."""

from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64

Learnt = dict[str, list[float] | list[int] | list[list[float]]]  # what was learnt, as JSON
Indices = Int64[np.ndarray, " _"]
Rates = Float64[np.ndarray, " _"]


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
