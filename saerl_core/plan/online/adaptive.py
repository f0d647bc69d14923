"""Strategy `adaptive`: train on the prompts whose groups are expected to teach most now.

A group of G rollouts with pass rate p has a gradient in proportion to the spread of its rewards, p (1 - p); one that
is all right or all wrong has none. The pass-rate model predicts p for the policy as it is, and the batch is what has
the largest p (1 - p) under one posterior draw.
"""

import numpy as np

from saerl_core.plan.online.choosers import Indices, Rates
from saerl_core.plan.online.pass_rates import Learnt, PassRateModel

_TIE_BREAK = 1e-3  # predictions are clipped, so that many are equal; a little noise decides between them


class AdaptiveChooser:
    """Bayesian linear beliefs, Thompson sampling, random batches at first, a floor of random prompts throughout."""

    def __init__(self, model: PassRateModel, *, warmup_steps: int, explore_frac: float, thompson: bool) -> None:
        self._model, self._warmup, self._explore, self._thompson = model, warmup_steps, explore_frac, thompson

    def choose(self, step: int, eligible: Indices, n: int, rng: np.random.Generator) -> Indices:
        """Return the prompts of largest p (1 - p), `explore_frac` of the batch drawn at random."""
        if step < self._warmup:
            return rng.choice(eligible, n, replace=False)
        rates = self._model.draw(eligible, rng) if self._thompson else self._model.mean(eligible)
        worth = rates * (1.0 - rates) + _TIE_BREAK * rng.random(len(eligible))
        ranked = eligible[np.argsort(-worth)]
        n_random = round(self._explore * n)
        best = ranked[: n - n_random]
        return np.concatenate([best, rng.choice(ranked[n - n_random :], n_random, replace=False)])

    def predicted(self, index: Indices) -> Rates:
        """Return the expected pass rates."""
        return self._model.mean(index)

    def observe(self, step: int, index: Indices, n_rollouts: Indices, n_correct: Indices) -> None:
        """Learn from the pass rates of a step."""
        self._model.observe(index, n_correct / n_rollouts)

    def state(self) -> Learnt:
        """Return the model's state."""
        return self._model.state()

    def load(self, state: Learnt) -> None:
        """Restore the model's state."""
        self._model.load(state)
