"""Strategy `vanilla`: a seeded shuffle, what training without data engineering does."""

from typing import Literal

import numpy as np

from saerl_core.plan.batches import Order, cut
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings


class VanillaSettings(StrategySettings):
    """The shuffle has no switch."""

    name: Literal["vanilla"] = "vanilla"


def order_at_random(candidates: Candidates, settings: VanillaSettings, rng: np.random.Generator) -> Order:
    """Shuffle the candidates and cut them into batches.

    Candidates are all usable prompts: the quality filter is a part of what `vanilla` is compared with.
    """
    shuffled = rng.permutation(candidates.table["prompt_id"].to_numpy(dtype=object))
    batches, _ = cut([str(p) for p in shuffled], candidates.prompts_per_step, group=0)
    return Order(tuple(batches))


STRATEGY = StaticStrategy(
    settings=VanillaSettings,
    title="a seeded shuffle of all usable prompts",
    source="the control",
    order=order_at_random,
)
