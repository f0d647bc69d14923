"""A strategy of one's own: prompts that are neither too easy nor too hard, the nearest to the target first."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from saerl_core import load_prompts, make_plan, register_strategy
from saerl_core.plan.batches import Order, cut
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings


class NearHalfSettings(StrategySettings):
    """What stands beside the name in a run file."""

    name: Literal["near_half"] = "near_half"
    target: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    within: Annotated[float, Field(gt=0.0, le=1.0)] = 0.3


def near_half(candidates: Candidates, settings: NearHalfSettings, rng: np.random.Generator) -> Order:
    """Return full batches; a prompt that is in none is left out, and the plan says so."""
    table = candidates.table.assign(distance=(candidates.table["difficulty"] - settings.target).abs())
    table = table[table["distance"] <= settings.within]
    ids = table.sort_values(["distance", "prompt_id"])["prompt_id"].tolist()
    batches, _ = cut(ids, candidates.prompts_per_step, group=0)
    return Order(tuple(batches))


# for this process; a package registers the row by an entry point instead (docs/strategies.md)
register_strategy(
    StaticStrategy(
        settings=NearHalfSettings,
        title="nearest to a difficulty first",
        source="an example",
        signals=("difficulty",),
        order=near_half,
    )
)

ROWS = [{"prompt": f"How much is {i} plus {i + 3}?", "answer": str(2 * i + 3), "pass_rate": i / 63} for i in range(64)]
plan = make_plan(load_prompts(ROWS), {"name": "near_half", "within": 0.25}, prompts_per_step=8)
print(plan.table.groupby("step")["difficulty"].agg(["min", "mean", "max"]).round(2).to_string())
print(plan.decisions["reason"].value_counts().to_string())
