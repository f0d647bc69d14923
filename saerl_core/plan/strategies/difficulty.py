"""Strategy `difficulty`: easy to hard over the whole pool, without clusters, filter or mixing."""

from typing import Literal

import numpy as np

from saerl_core.plan.batches import Order, cut
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings


class DifficultySettings(StrategySettings):
    """Easy to hard has no switch."""

    name: Literal["difficulty"] = "difficulty"


def order_by_difficulty(candidates: Candidates, settings: DifficultySettings, rng: np.random.Generator) -> Order:
    """Sort the candidates by `difficulty` ascending, ties by `prompt_id`, and cut them into batches.

    The uncalibrated difficulty (1 - pass rate) is used: the calibrated one is a rank inside a cluster and cannot be
    compared across clusters. `rng` is not drawn from.
    """
    ordered = candidates.table.sort_values(["difficulty", "prompt_id"])
    batches, _ = cut(ordered["prompt_id"].tolist(), candidates.prompts_per_step, group=0)
    return Order(tuple(batches))


STRATEGY = StaticStrategy(
    settings=DifficultySettings,
    title="easy to hard over the whole pool",
    source="curriculum learning",
    signals=("difficulty",),
    order=order_by_difficulty,
)
