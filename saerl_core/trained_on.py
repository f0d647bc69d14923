"""What was trained on over time: shares of the trained groups by topic, level and cluster, a part at a time."""

import numpy as np
import pandas as pd

from saerl_core.schema import Column, TableSchema
from saerl_core.tables import CONSUMED

N_PARTS = 10
MAX_VALUES = 7  # of a kind; the rarer ones are one value more, OTHER
OTHER = "other"
TRAINED_ON = TableSchema(
    "trained_on",
    {
        "kind": Column("str"),  # "topic", "level" or "cluster"
        "value": Column("str"),
        "part": Column("int", 0),  # of the updates, in order
        "share": Column("float", 0.0, 1.0),  # of the groups that reached the loss in this part
        "pass_rate": Column("float", 0.0, 1.0, nullable=True),  # of their rollouts; missing where there were none
    },
    key=("kind", "value", "part"),
)


def trained_on(consumed: pd.DataFrame, prompts: pd.DataFrame, clusters: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return `TRAINED_ON` of a training; `prompts` is `tables.PROMPTS`, `clusters` `tables.CLUSTERS`, if there are any.

    The updates are cut into ten equal parts, fewer where there are fewer updates. A kind of which every trained prompt
    has the same value, or none, says nothing and is left out.
    """
    rows = CONSUMED.check(consumed)
    rows = rows[rows["is_trained"]]
    if rows.empty:
        return TRAINED_ON.empty()
    n_updates = int(rows["update"].max()) + 1
    rows = rows.assign(part=rows["update"] * min(N_PARTS, n_updates) // n_updates)
    known = prompts[["prompt_id", "topic", "level"]]
    if clusters is not None:
        named = clusters[clusters["cluster_id"] >= 0]
        known = known.merge(named[["prompt_id", "cluster_id"]], on="prompt_id", how="left")
    rows = rows.merge(known.rename(columns={"cluster_id": "cluster"}), on="prompt_id", how="left")
    kinds = [kind for kind in ("topic", "level", "cluster") if kind in rows and rows[kind].nunique() > 1]
    found = [_of_kind(rows.assign(value=_values(rows[kind])), kind) for kind in kinds]
    return TRAINED_ON.check(pd.concat(found)) if found else TRAINED_ON.empty()


def _values(column: pd.Series) -> pd.Series:
    """Return the values as texts, whole numbers without a point, the rarest ones together."""
    texts = column.map(lambda v: OTHER if pd.isna(v) else f"{v:g}" if isinstance(v, (int, float)) else str(v))
    most = texts.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable").index
    return texts.where(texts.isin(most[:MAX_VALUES]), OTHER)


def _of_kind(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    sums = rows.groupby(["value", "part"])[["n_rollouts", "n_correct"]].sum()
    sums["n"] = rows.groupby(["value", "part"]).size()
    whole = pd.MultiIndex.from_product([sorted(rows["value"].unique()), sorted(rows["part"].unique())])
    sums = sums.reindex(whole.set_names(["value", "part"]), fill_value=0).reset_index()
    with np.errstate(invalid="ignore"):
        rate = sums["n_correct"] / sums["n_rollouts"].where(sums["n_rollouts"] > 0)
    share = sums["n"] / sums.groupby("part")["n"].transform("sum")
    return sums[["value", "part"]].assign(kind=kind, share=share, pass_rate=rate)


def mean_over_seeds(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean shares of several trainings; a value that one of them lacks counts as a share of 0 there."""
    found = pd.concat(tables)
    if found.empty:
        return TRAINED_ON.empty()
    key = ["kind", "value", "part"]
    means = found.groupby(key, as_index=False).agg(share=("share", "sum"), pass_rate=("pass_rate", "mean"))
    return TRAINED_ON.check(means.assign(share=(means["share"] / len(tables)).clip(0.0, 1.0)))
