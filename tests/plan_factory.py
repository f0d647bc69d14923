"""A plan of two steps for tests that need any plan."""

import pandas as pd

from saerl_core.plan.hashing import plan_hash
from saerl_core.plans import FixedPlan
from saerl_core.tables import DECISIONS, PLAN


def tiny_plan() -> FixedPlan:
    """Four prompts in two batches, a fifth left out."""
    ids = ["a", "b", "c", "d"]
    table = PLAN.check(
        pd.DataFrame(
            {
                "step": [0, 0, 1, 1],
                "slot": [0, 1, 0, 1],
                "epoch": 0,
                "prompt_id": ids,
                "cluster_id": [0, 0, 1, 1],
                "difficulty": [0.1, 0.2, 0.3, 0.4],
                "is_mixed": False,
            }
        )
    )
    decisions = DECISIONS.check(
        pd.DataFrame(
            {
                "prompt_id": [*ids, "e"],
                "planned": [True] * 4 + [False],
                "reason": ["planned"] * 4 + ["remainder"],
                "n_uses": [1, 1, 1, 1, 0],
                "first_step": [0, 0, 1, 1, -1],
            }
        )
    )
    return FixedPlan(table, decisions, "vanilla", 0, 2, plan_hash(table))
