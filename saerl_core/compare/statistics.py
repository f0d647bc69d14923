"""Arms against a baseline: gains with intervals, savings until the baseline's final accuracy, and both in words.

Fixed before any trial is looked at, and printed with every comparison (`RULES`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int

from saerl_core import stats
from saerl_core.compare.trials import Axis, Paired, Trial, area, curve, first_reached, pair, xs
from saerl_core.errors import DataError
from saerl_core.stats import Estimate

Word = Literal["better", "worse", "cannot be told apart", "one seed"]
AXES: tuple[Axis, ...] = get_args(Axis)
VISIBLE_GAIN = 0.02  # of which it is said how many seeds would show it
RULES = (
    "Arms are paired with the baseline by seed and by held-out item. Curves are smoothed over three evaluations; the "
    "target is the baseline's last smoothed accuracy of the same seeds; it is reached where the smoothed curve first "
    "crosses it, between two evaluations on the line that joins them. Rollouts and tokens count everything that was "
    "generated: labels, screening, replaced groups. An arm that never reaches the target has a lower bound, its whole "
    "budget. Intervals are 95 %: gains over seeds and items (crossed bootstrap, widened for few seeds), savings over "
    "seeds; p-values are corrected for the number of arms (Holm)."
)
_ALPHA = 1 - stats.CONFIDENCE


@dataclass(frozen=True)
class Saving:
    """What an arm spent until it reached the baseline's final accuracy, as a share of what the baseline spent in all.

    `reached` False: never within its budget, `ratio` is a lower bound. `n_reached` counts seeds that reached their own
    baseline's accuracy.
    """

    axis: Axis
    ratio: float
    reached: bool
    lo: float | None
    hi: float | None
    n_reached: int


@dataclass(frozen=True)
class Row:
    """One arm of the table."""

    arm: str
    n_seeds: int
    accuracy: float  # final, mean over seeds and items
    gain: Estimate  # in accuracy, against the baseline
    adjusted_p: float | None
    area_gain: Estimate  # of the mean accuracy over the rollouts
    savings: tuple[Saving, ...]  # one an axis
    zero_std_frac: float | None
    label_rollouts: float
    word: Word
    seeds_needed: int | None  # to see two points, where arms cannot be told apart

    def saving(self, axis: Axis) -> Saving:
        """Return the saving on an axis."""
        return next(saving for saving in self.savings if saving.axis == axis)


@dataclass(frozen=True)
class Comparison:
    """All arms against the baseline; rows keep the order of the arms, the baseline's is the first."""

    baseline: str
    rows: tuple[Row, ...]
    n_items: int


def compare_trials(
    trials: Sequence[Trial], baseline: str, seed: int = 0, n_bootstrap: int = 10_000, axes: Sequence[Axis] = AXES
) -> Comparison:
    """Compare every arm with the baseline; savings on these axes.

    `seed` only shapes the resampling. Arms keep the order in which they first occur.

    Raises:
        DataError: there is no trial of the baseline, or an arm shares no seed or not all items with it.
    """
    arms = list(dict.fromkeys(trial.arm for trial in trials))
    if baseline not in arms:
        raise DataError(f"no trial of the baseline '{baseline}'; the trials are of the arms {arms}")
    rng = np.random.default_rng(seed)
    paired = [pair(trials, arm, baseline) for arm in [baseline, *(a for a in arms if a != baseline)]]
    rows = [_row(one, rng, n_bootstrap, axes) for one in paired]
    others = [row for row in rows[1:] if row.gain.p is not None]
    adjusted = dict(zip((r.arm for r in others), stats.holm([r.gain.p or 0.0 for r in others]), strict=True))
    judged = tuple(_judged(row, one, adjusted.get(row.arm)) for row, one in zip(rows, paired, strict=True))
    return Comparison(baseline, judged, len(paired[0].trials[0].items))


def _row(paired: Paired, rng: np.random.Generator, n_bootstrap: int, axes: Sequence[Axis]) -> Row:
    accuracies = [float((t.items["n_correct"] / t.items["n_samples"]).mean()) for t in paired.trials]
    areas = [area(t) - area(b) for t, b in zip(paired.trials, paired.baseline, strict=True)]
    groups = [float(np.mean(t.zero_std_frac)) for t in paired.trials if t.zero_std_frac]
    return Row(
        arm=paired.arm,
        n_seeds=len(paired.seeds),
        accuracy=float(np.mean(accuracies)),
        gain=stats.crossed_bootstrap(paired.item_differences(), rng, n_bootstrap),
        adjusted_p=None,
        area_gain=stats.over_seeds(areas),
        savings=tuple(saving(paired, axis, rng) for axis in axes),
        zero_std_frac=float(np.mean(groups)) if groups else None,
        label_rollouts=float(np.mean([t.label_rollouts for t in paired.trials])),
        word="one seed",
        seeds_needed=None,
    )


def _judged(row: Row, paired: Paired, adjusted: float | None) -> Row:
    """Add the word: better or worse where the corrected p-value and the interval say so."""
    if row.n_seeds < 2:
        return row
    word: Word = "cannot be told apart"
    if adjusted is not None and adjusted <= _ALPHA and row.gain.lo is not None and row.gain.hi is not None:
        word = "better" if row.gain.lo > 0 else "worse" if row.gain.hi < 0 else word
    needed = None
    if word == "cannot be told apart":
        needed = stats.seeds_needed(list(paired.item_differences().mean(axis=1)), VISIBLE_GAIN)
    return replace(row, adjusted_p=adjusted, word=word, seeds_needed=needed)


def saving(paired: Paired, axis: Axis, rng: np.random.Generator, n_bootstrap: int = 2000) -> Saving:
    """Return the share of the baseline's spending that the arm needed to reach the baseline's final accuracy.

    Curves are averaged over the seeds, then the crossing is looked for; the interval resamples the seeds (pairs stay
    together) and needs three. A resample in which the target is never reached counts as the whole budget of the arm.
    """
    ours, theirs = _stacked(paired.trials, axis), _stacked(paired.baseline, axis)
    n = len(paired.seeds)
    ratio, reached = _ratios(ours, theirs, np.arange(n)[np.newaxis])
    _, singly = _ratios(ours, theirs, np.arange(n)[:, np.newaxis])
    lo = hi = None
    if n >= 3:
        draws, _ = _ratios(ours, theirs, rng.integers(0, n, size=(n_bootstrap, n)))
        lo, hi = (float(bound) for bound in np.quantile(draws, [_ALPHA / 2, 1 - _ALPHA / 2]))
    return Saving(axis, float(ratio[0]), bool(reached[0]), lo, hi, int(singly.sum()))


Curves = tuple[Float64[np.ndarray, "seeds points"], Float64[np.ndarray, "seeds points"]]


def _stacked(trials: Sequence[Trial], axis: Axis) -> Curves:
    """Return spendings and smoothed accuracies of trials that were evaluated equally often; the shortest decides."""
    n = min(len(trial.curve) for trial in trials)
    return np.stack([xs(t, axis)[:n] for t in trials]), np.stack([curve(t)[:n] for t in trials])


def _ratios(
    ours: Curves, theirs: Curves, chosen: Int[np.ndarray, "draws seeds_drawn"]
) -> tuple[Float64[np.ndarray, " draws"], Bool[np.ndarray, " draws"]]:
    """Return the ratio for each draw of seeds, and whether the target was reached at all."""
    x, y = ours[0][chosen].mean(axis=1), ours[1][chosen].mean(axis=1)
    target, spent = theirs[1][chosen].mean(axis=1)[:, -1], theirs[0][chosen].mean(axis=1)[:, -1]
    found = [first_reached(x[i], y[i], float(target[i])) for i in range(len(x))]
    at = np.array([x[i, -1] if one is None else one for i, one in enumerate(found)], dtype=np.float64)
    return at / np.maximum(spent, 1e-12), np.array([one is not None for one in found])


# --- in words


def sentence(row: Row, comparison: Comparison) -> str:
    """Say what an arm bought, as the first sentence of a report."""
    base, gain, saved = comparison.rows[0], row.gain, row.saving("n_rollouts")
    interval = "" if gain.lo is None or gain.hi is None else f" [{gain.lo * 100:.1f}, {gain.hi * 100:.1f}]"
    cost = f"{saved.ratio:.0%} of the rollouts"
    if saved.reached and saved.lo is not None and saved.hi is not None:
        cost += f" [{saved.lo:.0%}, {saved.hi:.0%}]"
    finals = f"{row.arm} {row.accuracy:.1%}, {base.arm} {base.accuracy:.1%}"
    how = "with" if saved.reached else "not even with"
    return (
        f"{finals}: {gain.mean * 100:+.1f} points{interval} at equal rollouts; it reached the final accuracy of "
        f"{base.arm} {how} {cost}. {_verdict(row)}"
    )


def _verdict(row: Row) -> str:
    if row.word == "one seed":
        return "One seed is one seed: another may say something else."
    if row.word != "cannot be told apart":
        return f"That is {row.word} ({row.n_seeds} seeds, corrected p {row.adjusted_p:.3f})."
    needed = "" if row.seeds_needed is None else f": {row.seeds_needed} would be needed to see a difference of 2 points"
    return f"The two cannot be told apart with {row.n_seeds} seeds{needed}."


Simulate = Callable[[np.random.Generator], Sequence[Trial]]


def false_alarm_rate(simulate: Simulate, baseline: str, n: int, seed: int = 0) -> float:
    """Return how often simulated comparisons of equal arms call any arm better or worse: the procedure's own check.

    With 1,000 resamples a comparison, and without savings, on which no word rests.
    """
    rng = np.random.default_rng(seed)
    alarms = 0
    for _ in range(n):
        found = compare_trials(simulate(rng), baseline, int(rng.integers(2**31)), 1000, ())
        alarms += any(row.word in ("better", "worse") for row in found.rows[1:])
    return alarms / n
