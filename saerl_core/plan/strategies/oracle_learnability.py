"""Strategy `oracle_learnability`: the largest true p (1 - p) before training. Task world only: it reads the truth."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from saerl_core.plan.batches import Order
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings, best_shuffled, check_truth


class OracleLearnabilitySettings(StrategySettings):
    """How much of the pool is trained on."""

    name: Literal["oracle_learnability"] = "oracle_learnability"
    keep_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 0.25


def order_by_true_rates(
    candidates: Candidates, settings: OracleLearnabilitySettings, rng: np.random.Generator
) -> Order:
    """Shuffle the sound prompts with the largest p (1 - p), p the known pass rate of every prompt before training.

    `DataError` where truth or pass rates are not known.
    """
    check_truth(candidates, "truth", settings.name, "prompts.source: task_world or everyday knows it")
    check_truth(candidates, "known_pass_rate", settings.name, "benchmarks/microcosm measures them for a whole pool")
    rates = candidates.table["known_pass_rate"].to_numpy(dtype=np.float64)
    sound = (candidates.table["truth"] == "clean").to_numpy()
    return best_shuffled(candidates, np.where(sound, rates * (1.0 - rates), -1.0), settings.keep_frac, rng)


STRATEGY = StaticStrategy(
    settings=OracleLearnabilitySettings,
    title="oracle, built-in worlds: a shuffle of the sound prompts with the largest true p (1 - p) before training",
    source="an upper bound for static choices",
    signals=("truth", "known_pass_rate"),
    order=order_by_true_rates,
)
