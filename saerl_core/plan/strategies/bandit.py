"""Strategy `bandit`: a bandit over clusters, after DUMP (arXiv:2504.09710) and SEC (arXiv:2505.14970).

Our reading of the idea: an arm is a cluster, its reward the mean absolute advantage that its groups gave lately.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from saerl_core.plan.choosers import Indices, Learnt
from saerl_core.plan.strategies.base import Candidates, OnlineSettings, OnlineStrategy

_RATE, _TEMPERATURE = 0.3, 0.1


class BanditSettings(OnlineSettings):
    """What every online strategy has, and nothing else."""

    name: Literal["bandit"] = "bandit"


class ClusterBandit:
    """Slots go to clusters by a softmax of their recent mean |advantage|; inside a cluster the choice is random.

    For binary rewards the mean absolute advantage of a group with pass rate p is 2 p (1 - p) before scaling; the value
    of a cluster follows it with step size `rate`. A cluster that was never tried has the highest possible value.
    """

    def __init__(self, clusters: Int64[np.ndarray, " n"], *, rate: float, temperature: float) -> None:
        self._clusters, self._rate, self._temperature = clusters, rate, temperature
        self._names: Int64[np.ndarray, " k"] = np.unique(clusters)
        self._value: Float64[np.ndarray, " k"] = np.full(len(self._names), 0.5)

    def choose(self, step: int, eligible: Indices, n: int, rng: np.random.Generator) -> Indices:
        """Draw a cluster for every slot, then prompts of it without replacement."""
        weight = np.exp(self._value / self._temperature)
        each = weight[np.searchsorted(self._names, self._clusters[eligible])]
        size = np.bincount(np.searchsorted(self._names, self._clusters[eligible]), minlength=len(self._names))
        each = each / size[np.searchsorted(self._names, self._clusters[eligible])]
        return rng.choice(eligible, n, replace=False, p=each / each.sum())

    def predicted(self, index: Indices) -> None:
        """Predict no pass rate: a cluster's value says how much it teaches, not how easy it is."""

    def observe(self, step: int, index: Indices, n_rollouts: Indices, n_correct: Indices) -> None:
        """Move the values of the clusters that were tried."""
        rates = n_correct / n_rollouts
        for place, name in enumerate(self._names):
            mine = self._clusters[index] == name
            if mine.any():
                advantage = float(np.mean(2.0 * rates[mine] * (1.0 - rates[mine])))
                self._value[place] += self._rate * (advantage - self._value[place])

    def state(self) -> Learnt:
        """Return the values."""
        return {"value": self._value.tolist()}

    def load(self, state: Learnt) -> None:
        """Restore the values."""
        self._value[:] = np.array(state["value"])


def _chooser(candidates: Candidates, settings: BanditSettings) -> ClusterBandit:
    clusters = candidates.table["cluster_id"].to_numpy(dtype=np.int64)
    return ClusterBandit(clusters, rate=_RATE, temperature=_TEMPERATURE)


STRATEGY = OnlineStrategy(
    settings=BanditSettings,
    title="a bandit over clusters: more from those whose groups gave an advantage lately",
    source="after DUMP, arXiv 2504.09710, and SEC, arXiv 2505.14970",
    signals=("cluster_id",),
    chooser=_chooser,
)
