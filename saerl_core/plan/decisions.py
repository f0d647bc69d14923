"""Which prompts may be planned, and what became of every prompt of the pool."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from saerl_core.config.run import StrategySettings
from saerl_core.errors import DataError
from saerl_core.flags import UNUSABLE
from saerl_core.tables import DECISIONS, LOW_QUALITY

REMAINDER = "remainder"
BEYOND_N_STEPS = "beyond n_steps"
PLANNED = "planned"
NOT_CHOSEN = "not chosen"  # a candidate that the strategy did not want


def refusals(pool: pd.DataFrame, strategy: StrategySettings) -> pd.Series:
    """Return, indexed like the joined pool, why a prompt may not be planned; empty where it may.

    Only a strategy whose settings say so looks at `keep`: the others see every usable prompt.
    """
    filters = strategy.filters_by_quality()
    reasons = [
        _unusable(str(flags)) if not usable else LOW_QUALITY if filters and not keep else ""
        for usable, flags, keep in zip(pool["usable"], pool["flags"], pool["keep"], strict=True)
    ]
    return pd.Series(reasons, index=pool.index, dtype=object)


def _unusable(flags: str) -> str:
    """Name only the flags that make the prompt unusable; harmless ones are no reason."""
    why = ",".join(flag for flag in flags.split(",") if flag in UNUSABLE)
    return f"not usable: {why}" if why else "not usable"


def check_enough(reasons: pd.Series, prompts_per_step: int) -> None:
    """Raise `DataError` where the prompts that may be planned do not fill one batch."""
    n, n_left = len(reasons), int((reasons == "").sum())
    if n_left >= prompts_per_step:
        return
    n_low = int((reasons == LOW_QUALITY).sum())
    out = f"{n - n_left - n_low} not usable, {n_low} of low quality"
    if n_left == 0:
        raise DataError(
            f"none of the {n} prompts of the pool can be planned ({out}); see the issues that were found while the "
            "prompts were loaded, or let quality leave out less (quality.drop_above, threshold, drop_quantile)"
        )
    raise DataError(
        f"only {n_left} of {n} prompts can be planned ({out}), fewer than plan.prompts_per_step = {prompts_per_step}; "
        f"set it to at most {n_left} or give more prompts"
    )


def decide(
    prompt_ids: pd.Series, reasons: pd.Series, table: pd.DataFrame, thinned_out: Collection[str], prompts_per_step: int
) -> pd.DataFrame:
    """Return `tables.DECISIONS`, one row for every prompt of the pool, in the order of `prompt_ids`.

    A candidate that is in no batch was in one that `n_steps` left no room for (`thinned_out`); otherwise the strategy
    did not choose it. Fewer of these than a batch are the remainder that every strategy leaves.
    """
    uses = table.groupby("prompt_id")["step"].agg(["size", "min"])
    n_uses = prompt_ids.map(uses["size"]).fillna(0).astype("int64").to_numpy()
    beyond = prompt_ids.isin(thinned_out).to_numpy()
    n_left = int(((n_uses == 0) & ~beyond & (reasons.to_numpy() == "")).sum())
    unplanned = np.where(beyond, BEYOND_N_STEPS, REMAINDER if n_left < prompts_per_step else NOT_CHOSEN)
    why_not = np.where(reasons.to_numpy() != "", reasons.to_numpy(), unplanned)
    return DECISIONS.check(
        pd.DataFrame(
            {
                "prompt_id": prompt_ids,
                "planned": n_uses > 0,
                "reason": np.where(n_uses > 0, PLANNED, why_not),
                "n_uses": n_uses,
                "first_step": prompt_ids.map(uses["min"]).fillna(-1).astype("int64"),
            }
        )
    )
