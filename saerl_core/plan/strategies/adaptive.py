"""Strategy `adaptive`: train on the prompts whose groups are expected to teach most now.

A group of G rollouts with pass rate p has a gradient in proportion to the spread of its rewards, p (1 - p); one that
is all right or all wrong has none. The pass-rate model predicts p for the policy as it is, and the batch is what has
the largest p (1 - p) under one posterior draw.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from saerl_core.config.base import Unit
from saerl_core.config.vectors import VectorsConfig
from saerl_core.plan.choosers import Indices, Learnt, Rates
from saerl_core.plan.pass_rate_model import Beliefs, PassRateModel
from saerl_core.plan.strategies.base import Candidates, OnlineSettings, OnlineStrategy

_TIE_BREAK = 1e-3  # predictions are clipped, so that many are equal; a little noise decides between them


class AdaptiveSettings(OnlineSettings, VectorsConfig):
    """What is known of a prompt, how fast it is forgotten, whom the strategy tries."""

    name: Literal["adaptive"] = "adaptive"
    ridge: Annotated[float, Field(gt=0.0)] = 30.0
    forgetting: Annotated[float, Field(gt=0.0, le=1.0)] = 0.93  # share of the evidence kept from step to step
    noise: Annotated[float, Field(ge=0.0)] = 0.06  # variance of a group's pass rate; 0: no Thompson sampling
    memory_weight: Annotated[float, Field(ge=0.0)] = 1.0  # pseudo-observations that shrink a prompt's own residual
    memory_kept: Annotated[float, Field(gt=0.0, le=1.0)] = 0.99
    warmup_steps: Annotated[int, Field(ge=0)] = 2  # random batches at first
    explore_frac: Unit = 0.0  # share of every batch that is drawn at random

    def vectors(self) -> VectorsConfig:
        """Return the settings of the vectors alone: the others must not be in the key of the policy's forward pass."""
        return VectorsConfig(**{name: getattr(self, name) for name in VectorsConfig.model_fields})


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


def _chooser(candidates: Candidates, settings: AdaptiveSettings) -> AdaptiveChooser:
    s = settings
    beliefs = Beliefs(s.ridge, s.forgetting, s.noise, s.memory_weight, s.memory_kept)
    return AdaptiveChooser(
        PassRateModel(candidates.vectors, beliefs),
        warmup_steps=s.warmup_steps,
        explore_frac=s.explore_frac,
        thompson=s.noise > 0,
    )


STRATEGY = OnlineStrategy(
    settings=AdaptiveSettings,
    title="a Bayesian model of every prompt's current pass rate; trains where rewards are expected to differ most",
    source="ours",
    chooser=_chooser,
)
