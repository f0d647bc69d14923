"""Strategy `oracle_quality`: a shuffle of the prompts that are truly sound. Task world only: it reads the truth."""

from typing import Literal

import numpy as np

from saerl_core.plan.batches import Order
from saerl_core.plan.strategies.base import (
    Candidates,
    StaticStrategy,
    StrategySettings,
    check_chosen,
    check_truth,
    shuffled,
)


class OracleQualitySettings(StrategySettings):
    """The truth has no switch."""

    name: Literal["oracle_quality"] = "oracle_quality"


def order_of_sound(candidates: Candidates, settings: OracleQualitySettings, rng: np.random.Generator) -> Order:
    """Shuffle the prompts whose truth is `clean`; `DataError` where the truth is not known."""
    check_truth(candidates, "truth", settings.name, "prompts.source: task_world or everyday knows it")
    sound = np.flatnonzero((candidates.table["truth"] == "clean").to_numpy())
    check_chosen(len(sound), candidates, "are sound")
    return shuffled(candidates, sound, rng)


STRATEGY = StaticStrategy(
    settings=OracleQualitySettings,
    title="oracle, built-in worlds: a shuffle of the prompts that are truly sound",
    source="an upper bound for quality filters",
    signals=("truth",),
    order=order_of_sound,
)
