"""The one join of the data's way: the pool and what every signal says about it."""

from dataclasses import dataclass

import pandas as pd

from saerl_core.errors import DataError
from saerl_core.schema import TableSchema
from saerl_core.tables import CLUSTERS, DIFFICULTY, PROMPTS, QUALITY


@dataclass(frozen=True)
class PlanInputs:
    """The pool and its signals: one table each, one row a prompt, joined by `prompt_id`."""

    prompts: pd.DataFrame  # tables.PROMPTS
    quality: pd.DataFrame  # tables.QUALITY
    clusters: pd.DataFrame  # tables.CLUSTERS
    difficulty: pd.DataFrame  # tables.DIFFICULTY

    def joined(self) -> pd.DataFrame:
        """Join the tables and sort by `prompt_id`, so that the row order of no table matters.

        Returns columns `prompt_id, usable, flags, keep, cluster_id, difficulty, calibrated`, and for oracles `truth,
        known_pass_rate`. Raises `DataError` when a
        signal table lacks a prompt of the pool or knows one that the pool does not hold.
        """
        pool = PROMPTS.check(self.prompts)[["prompt_id", "usable", "flags", "truth", "known_pass_rate"]]
        for schema, frame, columns in (
            (QUALITY, self.quality, ["keep"]),
            (CLUSTERS, self.clusters, ["cluster_id"]),
            (DIFFICULTY, self.difficulty, ["difficulty", "calibrated"]),
        ):
            signal = schema.check(frame)
            _check_same_prompts(pool, signal, schema)
            pool = pool.merge(signal[["prompt_id", *columns]], on="prompt_id", validate="one_to_one")
        return pool.sort_values("prompt_id", ignore_index=True)


def _check_same_prompts(pool: pd.DataFrame, signal: pd.DataFrame, schema: TableSchema) -> None:
    have, need = set(signal["prompt_id"]), set(pool["prompt_id"])
    if need - have:
        raise DataError(
            f"table '{schema.name}' has no row for {len(need - have)} of {len(need)} prompts of the pool, first "
            f"{min(need - have)}; compute the signal for the whole pool"
        )
    if have - need:
        raise DataError(
            f"table '{schema.name}' has {len(have - need)} rows for prompts that the pool does not hold, first "
            f"{min(have - need)}; the signal and the prompts come from different pools, run both again"
        )
