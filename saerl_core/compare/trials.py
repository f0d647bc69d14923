"""One trial: an arm trained with one seed, its learning curve, its final scores, what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float64

from saerl_core.errors import DataError
from saerl_core.trained_on import TRAINED_ON

Axis = Literal["n_rollouts", "n_tokens", "step", "seconds"]
SMOOTHED_OVER = 3  # evaluation points, centred; two at either end


@dataclass(frozen=True)
class Point:
    """One evaluation while training: what had been spent until then, label rollouts included, and the accuracy."""

    step: int
    n_rollouts: int  # generated: labels, screening and replaced groups included
    n_tokens: int
    seconds: float
    accuracy: float  # mean over held-out items, in [0, 1]


@dataclass(frozen=True)
class Trial:
    """A finished trial. `items`: one row a held-out item with `item_id`, `n_samples`, `n_correct` after training."""

    arm: str
    seed: int
    curve: tuple[Point, ...]
    items: pd.DataFrame
    label_rollouts: int = 0
    zero_std_frac: tuple[float, ...] = ()  # by step: groups whose rewards are all equal
    trained_on: pd.DataFrame = field(default_factory=TRAINED_ON.empty)  # shares by topic, level and cluster over time

    @property
    def spent(self) -> Point:
        """Return the last point: everything that the trial used."""
        return self.curve[-1]

    @cached_property
    def item_ids(self) -> np.ndarray:
        """Return the ids of the held-out items, shape `items`, in the order of the table."""
        return self.items["item_id"].to_numpy(dtype=object)

    @cached_property
    def item_rates(self) -> Float64[np.ndarray, " items"]:
        """Return the accuracy of each held-out item, in [0, 1], in the order of the table."""
        return (self.items["n_correct"] / self.items["n_samples"]).to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class Paired:
    """An arm and the baseline on the same seeds and items."""

    arm: str
    seeds: tuple[int, ...]
    trials: tuple[Trial, ...]
    baseline: tuple[Trial, ...]

    def item_differences(self) -> Float64[np.ndarray, "seeds items"]:
        """Return the differences of item accuracies, arm minus baseline.

        Raises:
            DataError: two trials were not scored on the same items.
        """
        rows = [
            _rates(t, self.trials[0]) - _rates(b, self.trials[0])
            for t, b in zip(self.trials, self.baseline, strict=True)
        ]
        return np.stack(rows)


def pair(trials: Sequence[Trial], arm: str, baseline: str) -> Paired:
    """Return the arm's trials beside the baseline's, for the seeds that both have.

    Raises:
        DataError: they share no seed, or one has a seed twice.
    """
    ours, theirs = _by_seed(trials, arm), _by_seed(trials, baseline)
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    if not seeds:
        raise DataError(
            f"arm '{arm}' (seeds {sorted(ours)}) and baseline '{baseline}' (seeds {sorted(theirs)}) share no seed; "
            "train both with the same seeds"
        )
    return Paired(arm, seeds, tuple(ours[s] for s in seeds), tuple(theirs[s] for s in seeds))


def _by_seed(trials: Sequence[Trial], arm: str) -> dict[int, Trial]:
    found = [trial for trial in trials if trial.arm == arm]
    by_seed = {trial.seed: trial for trial in found}
    if len(by_seed) < len(found):
        raise DataError(f"arm '{arm}' has two trials of one seed; every pair of arm and seed is one trial")
    return by_seed


def _rates(trial: Trial, like: Trial) -> Float64[np.ndarray, " items"]:
    if np.array_equal(trial.item_ids, like.item_ids):
        return trial.item_rates
    at = {item: i for i, item in enumerate(trial.item_ids)}
    if len(at) != len(like.item_ids) or not at.keys() >= set(like.item_ids):
        raise DataError(
            f"arm '{trial.arm}', seed {trial.seed} was scored on other items than arm '{like.arm}', seed {like.seed}; "
            "score all trials on the same held-out prompts"
        )
    return trial.item_rates[[at[item] for item in like.item_ids]]


# --- learning curves


def xs(trial: Trial, axis: Axis) -> Float64[np.ndarray, " points"]:
    """Return what had been spent at each evaluation."""
    return np.array([getattr(point, axis) for point in trial.curve], dtype=np.float64)


def smoothed(accuracies: Float64[np.ndarray, " points"]) -> Float64[np.ndarray, " points"]:
    """Return centred means over three points; at either end over the two that there are."""
    half = SMOOTHED_OVER // 2
    means = [accuracies[max(0, i - half) : i + half + 1].mean() for i in range(len(accuracies))]
    return np.array(means, dtype=np.float64)


def curve(trial: Trial) -> Float64[np.ndarray, " points"]:
    """Return the smoothed accuracies of a trial."""
    return smoothed(np.array([point.accuracy for point in trial.curve], dtype=np.float64))


def first_reached(x: Float64[np.ndarray, " points"], y: Float64[np.ndarray, " points"], target: float) -> float | None:
    """Return where a curve first reaches the target, between two points on the line that joins them; None: never."""
    above = np.flatnonzero(y >= target)
    if len(above) == 0:
        return None
    at = int(above[0])
    if at == 0:
        return float(x[0])
    share = (target - y[at - 1]) / (y[at] - y[at - 1])
    return float(x[at - 1] + share * (x[at] - x[at - 1]))


def area(trial: Trial, axis: Axis = "n_rollouts") -> float:
    """Return the mean accuracy over what was spent: the area under the curve (trapezoids) over its width."""
    x, y = xs(trial, axis), np.array([point.accuracy for point in trial.curve], dtype=np.float64)
    if len(x) < 2 or x[-1] == x[0]:
        return float(y.mean())
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))
