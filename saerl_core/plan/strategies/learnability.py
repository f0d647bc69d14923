"""Strategy `learnability`: a shuffle of the prompts with the largest predicted p (1 - p), p before training."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from saerl_core.plan.batches import Order
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings, best_shuffled

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class LearnabilitySettings(StrategySettings):
    """How much of the pool is trained on."""

    name: Literal["learnability"] = "learnability"
    keep_frac: Share = 0.5


def order_by_learnability(candidates: Candidates, settings: LearnabilitySettings, rng: np.random.Generator) -> Order:
    """Shuffle the `keep_frac` of the candidates with the largest p (1 - p), ties by `prompt_id`.

    `DataError` where they fill no batch.
    """
    rates = 1.0 - candidates.table["difficulty"].to_numpy(dtype=np.float64)
    return best_shuffled(candidates, rates * (1.0 - rates), settings.keep_frac, rng)


STRATEGY = StaticStrategy(
    settings=LearnabilitySettings,
    title="a shuffle of the prompts with the largest predicted p (1 - p) before training",
    source="after learnability sampling, arXiv 2502.12272",
    signals=("difficulty",),
    order=order_by_learnability,
)
