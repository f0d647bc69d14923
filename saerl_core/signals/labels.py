"""The difficulty labels that the probe may see, and those that are held out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from saerl_core.config import DifficultyConfig
from saerl_core.errors import DataError
from saerl_core.seeds import stage_rng
from saerl_core.signals.folds import text_groups


@dataclass(frozen=True)
class DifficultyLabels:
    """Labels in [0, 1], high is hard, aligned with the sorted pool; NaN where there is none."""

    seen: Float[np.ndarray, " n"]  # the probe learns from these
    held_out: Float[np.ndarray, " n"]  # true labels that the probe never sees, for the report


def read_labels(
    pool: pd.DataFrame, pass_rates: pd.DataFrame | None, config: DifficultyConfig, seed: int
) -> DifficultyLabels:
    """Return the labels of a pool that is sorted by prompt_id.

    pass_rate: 1 - measured pass rate, nothing held out. level: the level mapped linearly so that the lowest and the
    highest level of the usable rows become 0 and 1. known_pass_rate: 1 - the rate that came with the data. Of the last
    two the probe sees `n_labelled` usable rows drawn at random; the other labelled usable rows are held out, except
    copies of a seen prompt. Raises `DataError` when there is no label at all.
    """
    if config.label == "pass_rate":
        return DifficultyLabels(_measured(pool, pass_rates), np.full(len(pool), np.nan))
    known = _from_data(pool, config.label)
    rows = np.flatnonzero(~np.isnan(known) & pool["usable"].to_numpy(dtype=bool))
    chosen = stage_rng(seed, "difficulty_labels").permutation(rows)[: config.n_labelled]
    seen = np.full(len(pool), np.nan)
    seen[chosen] = known[chosen]
    groups = text_groups(pool).to_numpy()
    fresh = rows[~np.isin(groups[rows], groups[chosen])]
    held_out = np.full(len(pool), np.nan)
    held_out[fresh] = known[fresh]
    return DifficultyLabels(seen, held_out)


def _measured(pool: pd.DataFrame, pass_rates: pd.DataFrame | None) -> Float[np.ndarray, " n"]:
    if pass_rates is None or pass_rates.empty:
        raise DataError(
            "difficulty.label is 'pass_rate' but no pass rate was measured; measure them on a labelled subset, "
            "or set difficulty.label to 'level' or 'known_pass_rate'"
        )
    rates = pass_rates.set_index(pass_rates["prompt_id"].astype(str))["pass_rate"]
    labels = 1.0 - rates.reindex(pool["prompt_id"].astype(str)).to_numpy(dtype=np.float64)
    if np.isnan(labels).all():
        raise DataError(f"none of the {len(rates)} prompts with a measured pass rate is in the pool of {len(pool)}")
    return labels


def _from_data(pool: pd.DataFrame, label: str) -> Float[np.ndarray, " n"]:
    values = pool[label].to_numpy(dtype=np.float64, na_value=np.nan)
    usable = values[pool["usable"].to_numpy(dtype=bool) & ~np.isnan(values)]
    if len(usable) == 0:
        raise DataError(
            f"difficulty.label is '{label}' but no usable prompt has one; map the column in prompts.columns, "
            "or set difficulty.label to 'pass_rate'"
        )
    if label == "known_pass_rate":
        return np.asarray(1.0 - values)
    lo, hi = float(usable.min()), float(usable.max())
    # One level only: nothing separates the prompts, all stand in the middle.
    return np.clip((values - lo) / (hi - lo), 0.0, 1.0) if hi > lo else np.where(np.isnan(values), np.nan, 0.5)
