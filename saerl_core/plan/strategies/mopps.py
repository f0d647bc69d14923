"""Strategy `mopps`: a Beta posterior a prompt and Thompson sampling, after MoPPS (arXiv:2507.04632).

Our reading of the idea, not the authors' code: nothing is shared between prompts, so a prompt is known only after it
was tried.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from saerl_core.plan.choosers import Indices, Learnt, Rates
from saerl_core.plan.strategies.base import Candidates, OnlineSettings, OnlineStrategy

_TARGET = 0.5  # the pass rate with the largest spread of rewards


class MoppsSettings(OnlineSettings):
    """How fast a prompt's counts fade, beside what every online strategy has."""

    name: Literal["mopps"] = "mopps"
    half_life_rollouts: Annotated[float, Field(gt=0.0)] = 17_500.0  # after as many, counts are half as large


class BetaChooser:
    """alpha_i, beta_i start at 1 and decay towards it; the drawn rates nearest to `target` are trained on."""

    def __init__(self, n_prompts: int, *, half_life_rollouts: float, target: float) -> None:
        self._alpha, self._beta = np.ones(n_prompts), np.ones(n_prompts)
        self._half_life, self._target = half_life_rollouts, target

    def choose(self, step: int, eligible: Indices, n: int, rng: np.random.Generator) -> Indices:
        """Return the prompts whose drawn pass rate is nearest to the target."""
        drawn = rng.beta(self._alpha[eligible], self._beta[eligible])
        return eligible[np.argsort(np.abs(drawn - self._target))[:n]]

    def predicted(self, index: Indices) -> Rates:
        """Return the posterior means."""
        return np.asarray(self._alpha[index] / (self._alpha[index] + self._beta[index]))

    def observe(self, step: int, index: Indices, n_rollouts: Indices, n_correct: Indices) -> None:
        """Let all counts fade towards the prior, then add those of the step."""
        kept = 0.5 ** (float(n_rollouts.sum()) / self._half_life)
        self._alpha, self._beta = (1.0 + kept * (v - 1.0) for v in (self._alpha, self._beta))
        self._alpha[index] += n_correct
        self._beta[index] += n_rollouts - n_correct

    def state(self) -> Learnt:
        """Return the counts of the prompts that were tried."""
        seen = np.flatnonzero((self._alpha != 1.0) | (self._beta != 1.0))
        return {"seen": seen.tolist(), "alpha": self._alpha[seen].tolist(), "beta": self._beta[seen].tolist()}

    def load(self, state: Learnt) -> None:
        """Restore the counts."""
        self._alpha[:], self._beta[:] = 1.0, 1.0
        seen = np.array(state["seen"], dtype=np.int64)
        self._alpha[seen], self._beta[seen] = np.array(state["alpha"]), np.array(state["beta"])


def _chooser(candidates: Candidates, settings: MoppsSettings) -> BetaChooser:
    return BetaChooser(len(candidates.table), half_life_rollouts=settings.half_life_rollouts, target=_TARGET)


STRATEGY = OnlineStrategy(
    settings=MoppsSettings,
    title="a Beta posterior a prompt and Thompson sampling",
    source="after MoPPS, arXiv 2507.04632",
    chooser=_chooser,
)
