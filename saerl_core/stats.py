"""Estimators that several rooms use: intervals over seeds and items, multiple comparisons, seeds needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float64
from scipy import stats

CONFIDENCE = 0.95
_MAX_CELLS = 4_000_000  # resampled values in memory at once


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval and the two-sided p-value of "no difference"; None where one seed allows neither."""

    mean: float
    lo: float | None = None
    hi: float | None = None
    p: float | None = None


def crossed_bootstrap(
    differences: Float64[np.ndarray, "seeds items"], rng: np.random.Generator, n_bootstrap: int = 10_000
) -> Estimate:
    r"""Estimate the mean of paired differences over seeds and items, both of which were drawn.

    Seeds and items are crossed (every seed is scored on the same items), so that both are resampled at once:

        mean* = mean + c_S (mean of resampled seed effects) + (mean of resampled item effects)

    with seed effects d_s. - d.. and item effects d.i - d... The bootstrap over few seeds is too narrow by sqrt((S-1)/S)
    and has the tails of a normal distribution; c_S = t_{S-1, .975} / z_{.975} sqrt(S / (S-1)) mends both. The noise of
    a single cell is in both effects, which errs to the wide side. Sources: Efron 1979; Owen 2007 ("The pigeonhole
    bootstrap") for crossed data.

    One seed has no interval: nothing is known of others. The p-value is the smallest 1 - confidence whose interval
    excludes 0, at least 1 / n_bootstrap.
    """
    n_seeds = len(differences)
    mean = float(differences.mean())
    if n_seeds < 2:
        return Estimate(mean)
    seeds = differences.mean(axis=1) - mean
    items = differences.mean(axis=0) - mean
    draws = small_sample_factor(n_seeds) * resampled_means(seeds, n_bootstrap, rng)
    draws += mean + resampled_means(items, n_bootstrap, rng)
    lo, hi = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    tail = min(float((draws <= 0).mean()), float((draws >= 0).mean()))
    return Estimate(mean, float(lo), float(hi), min(1.0, max(2 * tail, 1 / n_bootstrap)))


def small_sample_factor(n_seeds: int) -> float:
    """Return by how much the bootstrap over so few seeds has to be widened."""
    quantile = (1 + CONFIDENCE) / 2
    wider = stats.t.ppf(quantile, n_seeds - 1) / stats.norm.ppf(quantile)
    return float(wider) * sqrt(n_seeds / (n_seeds - 1))


def resampled_means(
    values: Float64[np.ndarray, " n"], n_bootstrap: int, rng: np.random.Generator
) -> Float64[np.ndarray, " draws"]:
    """Return the means of so many samples of the values, drawn with replacement (Efron 1979); bounded in memory."""
    n = len(values)
    means = np.empty(n_bootstrap)
    at_once = max(1, _MAX_CELLS // n)
    for start in range(0, n_bootstrap, at_once):
        stop = min(start + at_once, n_bootstrap)
        means[start:stop] = values[rng.integers(0, n, size=(stop - start, n))].mean(axis=1)
    return means


def over_seeds(values: Sequence[float]) -> Estimate:
    """Return the mean of one value a seed with its t interval and p-value; one seed has neither."""
    found = np.asarray(values, dtype=np.float64)
    mean, n = float(found.mean()), len(found)
    if n < 2:
        return Estimate(mean)
    error = float(found.std(ddof=1)) / sqrt(n)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error > 0 else (1.0 if mean == 0 else 0.0)
    return Estimate(mean, mean - reach, mean + reach, p)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n independent trials (Wilson 1927); n is at least 1."""
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for looking at all of them at once, in the same order (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def seeds_needed(differences: Sequence[float], gain: float, power: float = 0.8, at_most: int = 1000) -> int | None:
    """Return how many seeds would show a difference of `gain`, by the spread of the differences seen so far.

    The smallest n with (t_{n-1, .975} + t_{n-1, power}) sd / sqrt(n) <= gain; None where the spread is unknown (fewer
    than two seeds) or more than `at_most` are needed.
    """
    if len(differences) < 2:
        return None
    spread = float(np.std(np.asarray(differences, dtype=np.float64), ddof=1))
    n = np.arange(2, at_most + 1)
    quantiles = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) + stats.t.ppf(power, n - 1)
    enough = n[quantiles * spread / np.sqrt(n) <= gain]
    return int(enough[0]) if len(enough) else None
