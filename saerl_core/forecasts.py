"""How well an online curriculum foresaw pass rates: predicted when it chose a prompt, observed in the step."""

import math

import numpy as np
import pandas as pd

from saerl_core.tables import CONSUMED, HANDED_OUT


def forecasts(handed_out: pd.DataFrame, consumed: pd.DataFrame) -> pd.DataFrame:
    """Return step, predicted, observed and n_rollouts of every trained prompt that was predicted; may be empty."""
    place = ["step", "slot", "prompt_id"]
    rows = HANDED_OUT.check(handed_out).dropna(subset=["predicted"]).merge(CONSUMED.check(consumed), on=place)
    observed = rows["n_correct"] / rows["n_rollouts"]
    return rows.assign(observed=observed)[["step", "predicted", "observed", "n_rollouts"]]


def brier_score(rows: pd.DataFrame) -> float:
    """Return the Brier score over all rollouts: the mean of (p - y)^2, y = 1 where a rollout is correct; NaN of none.

    Of a prompt with prediction p and observed pass rate r, (p - y)^2 is p^2 - 2 p r + r on average over its rollouts.
    """
    if rows.empty:
        return math.nan
    p, r = rows["predicted"].to_numpy(), rows["observed"].to_numpy()
    return float(np.average(p**2 - 2 * p * r + r, weights=rows["n_rollouts"]))


def brier_of_the_mean(rows: pd.DataFrame) -> float:
    """Return the Brier score of whoever says, in hindsight, the mean observed pass rate of every prompt."""
    if rows.empty:
        return math.nan
    mean = float(np.average(rows["observed"], weights=rows["n_rollouts"]))
    return mean * (1 - mean)


def brier_by_step(rows: pd.DataFrame) -> dict[int, float]:
    """Return the Brier score of every step that has predictions."""
    return {int(str(step)): brier_score(group) for step, group in rows.groupby("step")}


def forecast_metrics(rows: pd.DataFrame) -> dict[str, float]:
    """Return the headline numbers of a training's forecasts; nothing where nothing was predicted."""
    if rows.empty:
        return {}
    return {"forecast_brier_mean": brier_score(rows), "forecast_brier_of_the_mean": brier_of_the_mean(rows)}
