"""Strategy `difficulty`: easy to hard over the whole pool, without clusters, filter or mixing."""

import numpy as np
import pandas as pd

from saerl_core.config import PlanConfig
from saerl_core.plan.order import Order, cut


def order_by_difficulty(candidates: pd.DataFrame, config: PlanConfig, rng: np.random.Generator) -> Order:
    """Sort the candidates by `difficulty` ascending, ties by `prompt_id`, and cut them into batches.

    The uncalibrated difficulty (1 - pass rate) is used: the calibrated one is a rank inside a cluster and cannot be
    compared across clusters. `rng` is not drawn from.
    """
    ordered = candidates.sort_values(["difficulty", "prompt_id"])
    batches, _ = cut(ordered["prompt_id"].tolist(), config.prompts_per_step, group=0)
    return Order(tuple(batches))
