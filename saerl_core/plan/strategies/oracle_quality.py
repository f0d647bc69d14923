"""Strategy `oracle_quality`: a shuffle of the prompts that are truly sound. Task world only: it reads the truth."""

from typing import Literal

import numpy as np

from saerl_core.plan.batches import Order, cut
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings, check_chosen, check_truth


class OracleQualitySettings(StrategySettings):
    """The truth has no switch."""

    name: Literal["oracle_quality"] = "oracle_quality"


def order_of_sound(candidates: Candidates, settings: OracleQualitySettings, rng: np.random.Generator) -> Order:
    """Shuffle the prompts whose truth is `clean`; `DataError` where the truth is not known."""
    check_truth(candidates, "truth", settings.name, "prompts.source: task_world knows it")
    ids = [p for p, truth in zip(candidates.prompt_ids, candidates.table["truth"], strict=True) if truth == "clean"]
    check_chosen(len(ids), candidates, "are sound")
    batches, _ = cut([ids[i] for i in rng.permutation(len(ids))], candidates.prompts_per_step, group=0)
    return Order(tuple(batches))


STRATEGY = StaticStrategy(
    settings=OracleQualitySettings,
    title="oracle, task world only: a shuffle of the prompts that are truly sound",
    source="an upper bound for quality filters",
    signals=("truth",),
    order=order_of_sound,
)
