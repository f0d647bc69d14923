"""Strategy `vanilla`: a seeded shuffle, what training without data engineering does."""

import numpy as np
import pandas as pd

from saerl_core.config import PlanConfig
from saerl_core.plan.order import Order, cut


def order_at_random(candidates: pd.DataFrame, config: PlanConfig, rng: np.random.Generator) -> Order:
    """Shuffle the candidates and cut them into batches.

    Candidates are all usable prompts: the quality filter is a part of what `vanilla` is compared with.
    """
    shuffled = rng.permutation(candidates["prompt_id"].to_numpy(dtype=object))
    batches, _ = cut([str(p) for p in shuffled], config.prompts_per_step, group=0)
    return Order(tuple(batches))
