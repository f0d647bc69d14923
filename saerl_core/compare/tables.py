"""Trials as tables, for artifacts: one row a point of a curve, one row an item, one row a failure."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from saerl_core.compare.trials import Point, Trial
from saerl_core.errors import BackendError
from saerl_core.trained_on import TRAINED_ON

_POINT = ["step", "n_rollouts", "n_tokens", "seconds", "accuracy"]


@dataclass(frozen=True)
class TrialTables:
    """`curves` also has the label rollouts and the share of dead groups of each trial, the same in all its rows."""

    curves: pd.DataFrame
    items: pd.DataFrame
    shares: pd.DataFrame  # `TRAINED_ON` of every trial, with its arm and seed
    failures: pd.DataFrame


def to_tables(trials: Sequence[Trial], failures: Sequence[tuple[str, int, str]]) -> TrialTables:
    """Return the tables of finished and failed trials; `BackendError` where all failed."""
    if not trials:
        raise BackendError(
            f"all {len(failures)} trials failed; the first: {failures[0][2] if failures else 'none ran'}"
        )
    curves = [
        {
            "arm": t.arm,
            "seed": t.seed,
            **{name: getattr(p, name) for name in _POINT},
            "label_rollouts": t.label_rollouts,
            "zero_std_frac": sum(t.zero_std_frac) / len(t.zero_std_frac) if t.zero_std_frac else float("nan"),
        }
        for t in trials
        for p in t.curve
    ]
    items = [
        t.items.assign(arm=t.arm, seed=t.seed)[["arm", "seed", "item_id", "n_samples", "n_correct"]] for t in trials
    ]
    return TrialTables(
        pd.DataFrame(curves),
        pd.concat(items, ignore_index=True),
        pd.concat([t.trained_on.assign(arm=t.arm, seed=t.seed) for t in trials], ignore_index=True),
        pd.DataFrame(failures, columns=["arm", "seed", "reason"]).astype({"seed": "int64"}),
    )


def from_tables(curves: pd.DataFrame, items: pd.DataFrame, shares: pd.DataFrame) -> tuple[Trial, ...]:
    """Return the trials of the tables, in the order of their first rows."""
    found = []
    for (arm, seed), rows in curves.groupby(["arm", "seed"], sort=False):
        points = tuple(Point(**{name: row[name] for name in _POINT}) for row in rows[_POINT].to_dict("records"))
        own = items[(items["arm"] == arm) & (items["seed"] == seed)]
        of_it = (shares["arm"] == arm) & (shares["seed"] == seed)
        dead = float(rows["zero_std_frac"].iloc[0])
        found.append(
            Trial(
                arm=str(arm),
                seed=int(str(seed)),
                curve=points,
                items=own[["item_id", "n_samples", "n_correct"]].reset_index(drop=True),
                label_rollouts=int(rows["label_rollouts"].iloc[0]),
                zero_std_frac=(dead,) if dead == dead else (),  # noqa: PLR0124 (NaN is not equal to itself)
                trained_on=TRAINED_ON.check(shares.loc[of_it, list(TRAINED_ON.columns)]),
            )
        )
    return tuple(found)
