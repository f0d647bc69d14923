"""Numbers that describe any plan, so that strategies can be compared."""

import numpy as np
import pandas as pd

LEFT_OUT = ("not usable", "low quality", "remainder", "beyond n_steps", "not chosen")


def plan_metrics(
    table: pd.DataFrame, *, n_clusters: int | None = None, decisions: pd.DataFrame | None = None
) -> dict[str, float]:
    """Describe a plan (`tables.PLAN`) by its own numbers; a number that is not defined is left out.

    - `n_steps`, `n_epochs`, `n_prompts` (distinct ones)
    - `coherence`: mean over steps of the share of the batch's largest cluster, in (0, 1]
    - `coverage`: mean over windows of `n_clusters` successive steps of the share of the clusters that is seen; as many
      steps as one batch a cluster needs. `coverage_epoch`: the same with the epoch as the window
    - `mixed_frac`: share of slots that came from a neighbour
    - `difficulty_trend`: Spearman of step and the batch's mean difficulty inside an epoch, mean over epochs. Not
      defined with fewer than two steps an epoch or where all batches are equally difficult
    - `left_out` and `left_out_<reason>`: counts of prompts, only with `decisions`

    `n_clusters` is the number of clusters of the pool; None: those that the plan holds.
    """
    n_clusters = n_clusters or int(table["cluster_id"].nunique())
    values = {
        "n_steps": float(table["step"].nunique()),
        "n_epochs": float(table["epoch"].nunique()),
        "n_prompts": float(table["prompt_id"].nunique()),
        "coherence": _coherence(table),
        "coverage": _coverage(table, table["step"] // n_clusters, n_clusters),
        "coverage_epoch": _coverage(table, table["epoch"], n_clusters),
        "mixed_frac": float(table["is_mixed"].mean()),
    }
    trend = _difficulty_trend(table)
    if trend is not None:
        values["difficulty_trend"] = trend
    return values if decisions is None else values | _left_out(decisions)


def plan_notes(table: pd.DataFrame, decisions: pd.DataFrame) -> tuple[str, ...]:
    """Say in sentences what the numbers alone would hide."""
    notes = []
    if _difficulty_trend(table) is None:
        notes.append("difficulty_trend is not defined: no epoch has two batches of different mean difficulty")
    n_reused = int((decisions["n_uses"] > 1).sum())
    if n_reused:
        notes.append(
            f"{n_reused} prompts are trained on more than once: the plan has {table['epoch'].max() + 1} epochs"
        )
    return tuple(notes)


def _coherence(table: pd.DataFrame) -> float:
    counts = table.groupby(["step", "cluster_id"]).size()
    return float((counts.groupby("step").max() / counts.groupby("step").sum()).mean())


def _coverage(table: pd.DataFrame, window: pd.Series, n_clusters: int) -> float:
    """Mean share of clusters seen in a window; a shorter last window counts only where it is the only one."""
    steps = table.groupby(window)["step"].nunique()
    seen = table.groupby(window)["cluster_id"].nunique()
    full = seen[steps == steps.max()]
    return float((full / n_clusters).mean())


def _difficulty_trend(table: pd.DataFrame) -> float | None:
    means = table.groupby(["epoch", "step"])["difficulty"].mean()
    trends = [
        float(np.corrcoef(np.arange(len(batch_means)), batch_means.rank())[0, 1])  # Spearman: correlation of ranks
        for _, batch_means in means.groupby("epoch")
        if batch_means.nunique() > 1
    ]
    return float(np.mean(trends)) if trends else None


def _left_out(decisions: pd.DataFrame) -> dict[str, float]:
    reasons = decisions.loc[~decisions["planned"], "reason"]
    counts = {f"left_out_{r.replace(' ', '_')}": float(reasons.str.startswith(r).sum()) for r in LEFT_OUT}
    return {"left_out": float(len(reasons)), **counts}
