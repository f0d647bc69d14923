"""The difficulty labels of a pool: which kind there is, which rows the probe may see, which are held out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from saerl_core.config.run import DifficultyConfig, RunConfig
from saerl_core.errors import DataError
from saerl_core.seeds import stage_rng
from saerl_core.signals.folds import text_groups

FROM_DATA = ("known_pass_rate", "level")  # in the order that `auto` prefers
ENOUGH = 10  # labelled prompts; fewer teach a probe nothing
UNLABELLED = ("likelihood", "none")
_NAMES = {"known_pass_rate": "pass rate", "level": "level"}
_FLAGS = {"known_pass_rate": "unreadable_pass_rate", "level": "unreadable_level"}


@dataclass(frozen=True)
class DifficultyLabels:
    """Labels in [0, 1], high is hard, aligned with the sorted pool; NaN where there is none."""

    seen: Float[np.ndarray, " n"]  # the probe learns from these
    held_out: Float[np.ndarray, " n"]  # true labels that the probe never sees, for the report
    known: Float[np.ndarray, " n"]  # every label there is: what the plan goes by
    notes: tuple[str, ...] = ()


def chosen_label(pool: pd.DataFrame, pass_rates: pd.DataFrame | None, config: DifficultyConfig) -> str:
    """Return the kind of label that this pool can be calibrated with.

    `auto`: the pass rate that came with the data, the measured one, the level, else the policy's likelihood; labels of
    the data that fewer than ten usable prompts have come after the others. A level or a known pass rate that no usable
    prompt has is replaced by the likelihood. A measured pass rate is never replaced: who asks for rollouts is told when
    there are none.
    """
    wanted = config.label
    if wanted in FROM_DATA:
        return wanted if has_label(pool, wanted) else "likelihood"
    if wanted != "auto":
        return wanted
    if has_label(pool, "known_pass_rate", ENOUGH):
        return "known_pass_rate"
    if pass_rates is not None and not pass_rates.empty:
        return "pass_rate"
    return data_label(pool) or data_label(pool, at_least=1) or "likelihood"


def may_lack_labels(config: RunConfig) -> bool | None:
    """Tell before the pool is read whether its difficulty comes from the likelihood; None where the pool decides."""
    label, has_levels = config.difficulty.label, config.prompts.world is not None
    if label == "auto":
        # a pool whose data bring no label is measured; the levels of the built-in world are there to be found
        return False if config.may_measure else has_levels or None
    if label in FROM_DATA:
        return False if has_levels and label == "level" else None
    return label == "likelihood"


def has_label(pool: pd.DataFrame, label: str, at_least: int = 1) -> bool:
    """Tell whether so many usable prompts came with a label of this kind."""
    return int((pool[label].notna() & pool["usable"].astype(bool)).sum()) >= at_least


def data_label(pool: pd.DataFrame, at_least: int = ENOUGH) -> str | None:
    """Return the kind of label that so many usable prompts came with, the pass rate first; None where there is none."""
    return next((label for label in FROM_DATA if has_label(pool, label, at_least)), None)


def read_labels(
    pool: pd.DataFrame, pass_rates: pd.DataFrame | None, config: DifficultyConfig, seed: int
) -> DifficultyLabels:
    """Return the labels of a pool that is sorted by prompt_id.

    pass_rate: 1 - measured pass rate, nothing held out. level: the level mapped linearly so that the lowest and the
    highest level of the usable rows become 0 and 1. known_pass_rate: 1 - the rate that came with the data. Of the last
    two the probe sees `n_labelled` usable rows drawn at random; the other labelled usable rows are held out, except
    copies of a seen prompt. `known` holds all of them. Raises `DataError` when there is no label at all.
    """
    if config.label == "pass_rate":
        measured = _measured(pool, pass_rates)
        return DifficultyLabels(measured, np.full(len(pool), np.nan), measured)
    known = _from_data(pool, config.label)
    usable = pool["usable"].to_numpy(dtype=bool)
    rows = np.flatnonzero(~np.isnan(known) & usable)
    chosen = stage_rng(seed, "difficulty_labels").permutation(rows)[: config.n_labelled]
    seen = np.full(len(pool), np.nan)
    seen[chosen] = known[chosen]
    groups = text_groups(pool).to_numpy()
    fresh = rows[~np.isin(groups[rows], groups[chosen])]
    held_out = np.full(len(pool), np.nan)
    held_out[fresh] = known[fresh]
    return DifficultyLabels(seen, held_out, known, _coverage(pool, config.label, known, usable))


def _coverage(
    pool: pd.DataFrame, label: str, known: Float[np.ndarray, " n"], usable: Bool[np.ndarray, " n"]
) -> tuple[str, ...]:
    """Say how far the labels of the usable prompts reach, and how many of them could not be read."""
    n, name = int(usable.sum()), _NAMES[label]
    values = known[usable & ~np.isnan(known)]
    notes = []
    if len(values) < n:
        notes.append(
            f"{len(values)} of {n} usable prompts came with a {name}, which the plan goes by (difficulty "
            f"{values.min():.2f} to {values.max():.2f}); the other {n - len(values)} get a prediction."
        )
    flags = pool["flags"].astype(str).str.split(",")
    n_odd = int((flags.map(lambda found: _FLAGS[label] in found) & usable).sum())
    if n_odd:
        why = "is no number in [0, 1]" if label == "known_pass_rate" else "cannot be read"
        notes.append(
            f"The {name} of {n_odd} of {n} usable prompts {why} and counts as missing. Values that leave the scale on "
            "one side make the label one-sided: the probe then never sees the hardest or the easiest prompts. Bring "
            f"the column onto the scale, or map another in prompts.columns.{'pass_rate' if why[0] == 'i' else 'level'}."
        )
    return tuple(notes)


def _measured(pool: pd.DataFrame, pass_rates: pd.DataFrame | None) -> Float[np.ndarray, " n"]:
    if pass_rates is None or pass_rates.empty:
        raise DataError(
            "difficulty.label is 'pass_rate' but no pass rate was measured; measure them on a labelled subset, "
            "or set difficulty.label to 'auto', which takes what there is"
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
            "or set difficulty.label to 'auto', which takes what there is"
        )
    if label == "known_pass_rate":
        return np.asarray(1.0 - values)
    lo, hi = float(usable.min()), float(usable.max())
    # One level only: nothing separates the prompts, all stand in the middle.
    return np.clip((values - lo) / (hi - lo), 0.0, 1.0) if hi > lo else np.where(np.isnan(values), np.nan, 0.5)
