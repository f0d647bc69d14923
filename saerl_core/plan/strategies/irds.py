"""Strategy `irds`: a diverse half of the pool, after IRDS (arXiv:2605.28247).

Our reading of the idea: prompts are rows of their SAE features' leading components, scaled by how much the verifier's
rewards are expected to differ; a subset is chosen greedily by the log-determinant of its rows, and shuffled.
"""

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from saerl_core.config.vectors import VectorsConfig
from saerl_core.plan.batches import Order
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings, check_chosen, shuffled

_FLOOR = 0.05  # of p (1 - p): a prompt that is expected to be solved can still add a direction
_RIDGE = 1.0


class IrdsSettings(StrategySettings):
    """What rows are made of, and how much of the pool is trained on."""

    name: Literal["irds"] = "irds"
    features: Literal["sae", "dense", "random_sae", "surface"] = "sae"
    n_components: Annotated[int, Field(ge=1)] = 48
    keep_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5

    def vectors(self) -> VectorsConfig:
        """Return the features alone."""
        return VectorsConfig(features=self.features, n_components=self.n_components, use_likelihood=False)


def order_by_log_det(candidates: Candidates, settings: IrdsSettings, rng: np.random.Generator) -> Order:
    """Shuffle the greedily chosen `keep_frac` of the candidates; `DataError` where they fill no batch."""
    rates = 1.0 - candidates.table["difficulty"].to_numpy(dtype=np.float64)
    rows = candidates.vectors * np.sqrt(np.maximum(rates * (1.0 - rates), _FLOOR))[:, np.newaxis]
    n = round(settings.keep_frac * len(rows))
    check_chosen(n, candidates, f"are the chosen {settings.keep_frac:.0%}")
    return shuffled(candidates, greedy_log_det(rows, n), rng)


def greedy_log_det(rows: Float64[np.ndarray, "n d"], n_chosen: int) -> np.ndarray:
    """Return the indices that greedily maximise log det(I + sum of x x'), in the order of their choice.

    Each choice adds log(1 + x' A^-1 x): the largest x' A^-1 x is taken (ties: the first), and A^-1 follows by the
    formula of Sherman and Morrison. Time is that of n_chosen products of the rows with a vector.
    """
    inverse = np.eye(rows.shape[1]) / _RIDGE
    gains = np.einsum("ij,jk,ik->i", rows, inverse, rows)
    free = np.ones(len(rows), dtype=bool)
    chosen = np.zeros(n_chosen, dtype=np.int64)
    for place in range(n_chosen):
        best = int(np.argmax(np.where(free, gains, -1.0)))
        chosen[place], free[best] = best, False
        direction = inverse @ rows[best]
        scale = 1.0 + gains[best]
        inverse -= np.outer(direction, direction) / scale
        gains = np.maximum(gains - (rows @ direction) ** 2 / scale, 0.0)
    return chosen


STRATEGY = StaticStrategy(
    settings=IrdsSettings,
    title="a subset that is diverse in SAE features and instructive to the verifier, by its log-determinant",
    source="after IRDS, arXiv 2605.28247",
    signals=("difficulty",),
    order=order_by_log_det,
)
