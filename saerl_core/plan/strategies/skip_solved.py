"""Strategy `skip_solved`: a shuffle in which prompts whose groups were all alike rest, after GRESO (arXiv:2506.02177).

Our reading of the idea: a prompt whose last z groups in a row had equal rewards is passed over with probability
1 - explore^z; nothing is shared between prompts, and the probabilities are not adjusted while training.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from saerl_core.plan.choosers import Indices, Learnt
from saerl_core.plan.strategies.base import Candidates, OnlineSettings, OnlineStrategy


class SkipSolvedSettings(OnlineSettings):
    """How readily a prompt that taught nothing is tried again, beside what every online strategy has."""

    name: Literal["skip_solved"] = "skip_solved"
    explore: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class SkipChooser:
    """Takes prompts at random, passing over each with the probability that its own groups gave it."""

    def __init__(self, n_prompts: int, *, explore: float) -> None:
        self._alike, self._explore = np.zeros(n_prompts, dtype=np.int64), explore  # groups in a row without a gradient

    def choose(self, step: int, eligible: Indices, n: int, rng: np.random.Generator) -> Indices:
        """Return prompts of a shuffle, those passed over last."""
        order = rng.permutation(eligible)
        passed = rng.random(len(order)) > self._explore ** self._alike[order]
        return np.concatenate([order[~passed], order[passed]])[:n]

    def predicted(self, index: Indices) -> None:
        """Predict no pass rate: a group without a gradient may be all right or all wrong."""

    def observe(self, step: int, index: Indices, n_rollouts: Indices, n_correct: Indices) -> None:
        """Count the groups in a row whose rewards are all equal."""
        alike = (n_correct == 0) | (n_correct == n_rollouts)
        self._alike[index] = np.where(alike, self._alike[index] + 1, 0)

    def state(self) -> Learnt:
        """Return the counts above zero."""
        some = np.flatnonzero(self._alike)
        return {"prompts": some.tolist(), "alike": self._alike[some].tolist()}

    def load(self, state: Learnt) -> None:
        """Restore the counts."""
        self._alike[:] = 0
        self._alike[np.array(state["prompts"], dtype=np.int64)] = np.array(state["alike"], dtype=np.int64)


def _chooser(candidates: Candidates, settings: SkipSolvedSettings) -> SkipChooser:
    return SkipChooser(len(candidates.table), explore=settings.explore)


STRATEGY = OnlineStrategy(
    settings=SkipSolvedSettings,
    title="a shuffle in which prompts whose groups were all alike rest",
    source="after GRESO, arXiv 2506.02177",
    chooser=_chooser,
)
