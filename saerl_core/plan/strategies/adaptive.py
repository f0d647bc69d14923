"""Strategy `adaptive`: train on the prompts whose groups are expected to teach most now.

A group whose rewards are all equal has no gradient. The pass-rate model says what is believed of every prompt's rate
for the policy as it is, and the batch is what has the largest p (1 - p) under one posterior draw. All evidence is
counted in rollouts: one setting serves every group and batch size. Choosing by the chance of a live group instead,
which knows how sure the model is, comes back to the prompts that it knows, and did worse on dev (docs/benchmark.md).
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from saerl_core.config.base import Unit
from saerl_core.config.vectors import VectorsConfig
from saerl_core.plan.choosers import WHY, Indices, Learnt, Rates, Reasons
from saerl_core.plan.pass_rate_model import Beliefs, PassRateModel, live_share
from saerl_core.plan.strategies.base import Candidates, OnlineSettings, OnlineStrategy

_TIE_BREAK = 1e-3  # predictions are clipped, so that many are equal; a little noise decides between them
_FIRST_GROUP = 4  # rollouts a prompt until the first rewards say how many there are

PositiveFloat = Annotated[float, Field(gt=0.0)]


class AdaptiveSettings(OnlineSettings, VectorsConfig):
    """What is known of a prompt, how fast it is forgotten, whom the strategy tries."""

    name: Literal["adaptive"] = "adaptive"
    worth: Literal["live", "spread"] = "spread"  # of a prompt: the chance of a group with both rewards, or p (1 - p)
    prior_rollouts: PositiveFloat = 120.0  # what the prior on the weights is worth
    half_life_rollouts: PositiveFloat = 2500.0  # after as many, evidence counts half: the policy changes
    noise: Annotated[float, Field(ge=0.0)] = 0.24  # variance of one rollout's reward; 0: no Thompson sampling
    memory_prior_rollouts: PositiveFloat = 4.0  # shrink what is remembered of a prompt itself
    memory_half_life_rollouts: PositiveFloat = 9000.0
    warmup_rollouts: Annotated[int, Field(ge=0)] = 256  # random batches at first
    explore_frac: Unit = 0.0  # share of every batch that is drawn at random

    def vectors(self) -> VectorsConfig:
        """Return the settings of the vectors alone: the others must not be in the key of the policy's forward pass."""
        return VectorsConfig(**{name: getattr(self, name) for name in VectorsConfig.model_fields})


class AdaptiveChooser:
    """Bayesian linear beliefs, Thompson sampling, random batches at first, a floor of random prompts throughout."""

    def __init__(self, model: PassRateModel, settings: AdaptiveSettings) -> None:
        self._model, self._settings = model, settings
        self._n_rollouts, self._group = 0, _FIRST_GROUP
        self._why: tuple[str, ...] = ()

    def choose(self, step: int, eligible: Indices, n: int, rng: np.random.Generator) -> Indices:
        """Return the prompts that are worth most, `explore_frac` of the batch drawn at random."""
        s = self._settings
        warm_up, expected, explored = WHY
        if self._n_rollouts < s.warmup_rollouts:
            self._why = (warm_up,) * n
            return rng.choice(eligible, n, replace=False)
        n_random = round(s.explore_frac * n)
        worth = self._worth(eligible, rng) + _TIE_BREAK * rng.random(len(eligible))
        best = np.argpartition(-worth, n - n_random - 1)[: n - n_random] if n > n_random else np.zeros(0, np.int64)
        best = best[np.argsort(-worth[best])]
        others = np.delete(eligible, best)
        self._why = (expected,) * (n - n_random) + (explored,) * n_random
        return np.concatenate([eligible[best], rng.choice(others, n_random, replace=False)])

    def predicted(self, index: Indices) -> Rates:
        """Return the expected pass rates."""
        return self._model.mean(index)

    def reasons(self, step: int, chosen: Indices) -> Reasons:
        """Return how sure the predictions are, and which prompts were drawn at random."""
        return Reasons(self._model.sd(chosen), self._why)

    def observe(self, step: int, index: Indices, n_rollouts: Indices, n_correct: Indices) -> None:
        """Learn from the rewards of a step."""
        self._model.observe(index, n_rollouts, n_correct)
        self._n_rollouts += int(n_rollouts.sum())
        self._group = int(n_rollouts.max())

    def state(self) -> Learnt:
        """Return the model's state, and what has been seen."""
        return {**self._model.state(), "rollouts": [self._n_rollouts, self._group]}

    def load(self, state: Learnt) -> None:
        """Restore what `state` returned."""
        self._model.load(state)
        self._n_rollouts, self._group = (int(v) for v in np.array(state["rollouts"]))

    def _worth(self, index: Indices, rng: np.random.Generator) -> Rates:
        rates = self._model.draw(index, rng) if self._settings.noise > 0 else self._model.mean(index)
        if self._settings.worth == "spread":
            return np.asarray(rates * (1.0 - rates))
        return live_share(rates, self._model.concentration(index), self._group)


def _chooser(candidates: Candidates, settings: AdaptiveSettings) -> AdaptiveChooser:
    s = settings
    beliefs = Beliefs(
        s.prior_rollouts, s.half_life_rollouts, s.noise, s.memory_prior_rollouts, s.memory_half_life_rollouts
    )
    return AdaptiveChooser(PassRateModel(candidates.vectors, beliefs), settings)


STRATEGY = OnlineStrategy(
    settings=AdaptiveSettings,
    title="a Bayesian model of every prompt's current pass rate; trains where rewards are expected to differ most",
    source="ours",
    chooser=_chooser,
)
