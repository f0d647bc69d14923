"""The order that an online curriculum has made, as a plan: for the report and for whoever wants to train it again."""

from dataclasses import replace

import pandas as pd

from saerl_core.plan.decisions import NOT_CHOSEN, decide
from saerl_core.plans import BatchPlan, FixedPlan
from saerl_core.tables import CONSUMED, PLAN


def realised(plan: BatchPlan, consumed: pd.DataFrame, clusters: pd.DataFrame, difficulty: pd.DataFrame) -> BatchPlan:
    """Fill an online plan's table from what was trained on; a static plan comes back as it is.

    The hash stays that of the plan. Prompts that were never chosen keep their reason, or are "not chosen".
    """
    if isinstance(plan, FixedPlan):
        return plan
    rows = CONSUMED.check(consumed)[["step", "slot", "prompt_id"]].sort_values(["step", "slot"], ignore_index=True)
    signals = clusters[["prompt_id", "cluster_id"]].merge(difficulty[["prompt_id", "difficulty"]], on="prompt_id")
    table = rows.merge(signals, on="prompt_id", how="left").assign(epoch=0, is_mixed=False)
    table = PLAN.check(table[list(PLAN.columns)])
    before = plan.decisions
    reasons = before["reason"].where(before["reason"] != NOT_CHOSEN, "")
    decisions = decide(before["prompt_id"], reasons, table, (), plan.prompts_per_step)
    chosen_never = (decisions["n_uses"] == 0) & (reasons.to_numpy() == "")
    decisions = decisions.assign(reason=decisions["reason"].where(~chosen_never, NOT_CHOSEN))
    return replace(plan, table=table, decisions=decisions)
