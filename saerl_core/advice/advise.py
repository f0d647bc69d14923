"""From pass rates to advice: which groups teach, what labels cost, which prompts are never solved."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from saerl_core.advice.mixture import estimate
from saerl_core.advice.records import BAND, BEST_SHARE, Advice, Broken, Estimate, KnownPassRates, Labels, Selection
from saerl_core.errors import ConfigError

GROUP_SIZES = (2, 4, 8, 16, 32)
LABEL_ROLLOUTS = (2, 4, 8, 16)
_ALMOST_ZERO = 0.01
_SURE_BELOW = 0.05
_DOUBT = 0.05  # 1 - confidence


def advise(known: KnownPassRates, group_size: int = 8, group_sizes: Sequence[int] = GROUP_SIZES) -> Advice:
    """Return what the pass rates of a pool say about training on it; `group_size` is that of the run, at least 2.

    Everything is expected under the pass rates as they are before training: training moves them.
    """
    if group_size < 2:
        raise ConfigError(
            f"group_size is {group_size}; a group that is compared with itself has at least 2 completions"
        )
    found = estimate(known)
    sizes = tuple(sorted({*group_sizes, group_size}))
    selections = (
        _selection("shuffle", found.p, found.weights, sizes),
        _measured_band(found, sizes),
        _selection("best quarter", found.p, best_weights(found), sizes),
    )
    at_rates = live(found.kinds[:, 0], group_size)
    n_rollouts = known.n_rollouts
    return Advice(
        n_prompts=len(known.rates),
        mean=float(found.p @ found.weights),
        is_exact=n_rollouts is None,
        most_rollouts=None if n_rollouts is None else int(n_rollouts.max()),
        group_sizes=sizes,
        group_size=group_size,
        selections=selections,
        naive_dead=1.0 - float(np.average(at_rates, weights=found.counts)),
        labels=tuple(_labels(found, n, group_size, len(known.rates)) for n in LABEL_ROLLOUTS),
        broken=_broken(found),
    )


def live(p: Float64[np.ndarray, " n"], group_size: int) -> Float64[np.ndarray, " n"]:
    """Return the probability 1 - p^G - (1 - p)^G that a group of G completions has right and wrong ones."""
    return np.asarray(1.0 - p**group_size - (1.0 - p) ** group_size)


def best_weights(found: Estimate) -> Float64[np.ndarray, " grid"]:
    """Return the weights of the quarter of the pool with the largest true p (1 - p); they sum to the quarter."""
    order = np.argsort(-found.p * (1.0 - found.p), kind="stable")
    before = np.concatenate([[0.0], np.cumsum(found.weights[order])[:-1]])
    taken = np.zeros_like(found.weights)
    taken[order] = np.clip(BEST_SHARE - before, 0.0, found.weights[order])
    return taken


def inside_band(p: Float64[np.ndarray, " grid"], n_rollouts: int) -> Float64[np.ndarray, " grid"]:
    """Return the probability that a prompt of pass rate p is measured inside the band with n rollouts."""
    from scipy.stats import binom

    first, last = math.ceil(BAND[0] * n_rollouts - 1e-9), math.floor(BAND[1] * n_rollouts + 1e-9)
    return np.asarray(binom.cdf(last, n_rollouts, p) - binom.cdf(first - 1, n_rollouts, p))


def _measured_band(found: Estimate, sizes: Sequence[int]) -> Selection:
    """Return the prompts whose measured rate lies in the band, at what their true rates are expected to be."""
    kept = (found.kinds[:, 0] >= BAND[0]) & (found.kinds[:, 0] <= BAND[1])
    weights = (found.counts * kept) @ found.posterior / found.counts.sum()
    return _selection("measured 0.2 to 0.8", found.p, weights, sizes)


def _selection(
    name: str, p: Float64[np.ndarray, " grid"], weights: Float64[np.ndarray, " grid"], sizes: Sequence[int]
) -> Selection:
    share = float(weights.sum())
    if share <= 0:
        return Selection(name, 0.0, tuple(0.0 for _ in sizes))
    return Selection(name, share, tuple(float(live(p, size) @ weights) / share for size in sizes))


def _labels(found: Estimate, n_rollouts: int, group_size: int, n_prompts: int) -> Labels:
    """Return when labels of a whole pool have paid, in groups that teach.

    R rollouts of a shuffle hold R L / G such groups, R - C behind labels (R - C) L' / G; they are equal at
    R = C L' / (L' - L).
    """
    kept = found.weights * inside_band(found.p, n_rollouts)
    chosen = _selection("", found.p, kept, (group_size,))
    shuffle = float(live(found.p, group_size) @ found.weights)
    cost, gain = n_prompts * n_rollouts, chosen.live[0] - shuffle
    return Labels(n_rollouts, cost, chosen.share, chosen.live[0], cost * chosen.live[0] / gain if gain > 0 else None)


def _broken(found: Estimate) -> Broken:
    """Count prompts that are never solved.

    n rollouts without a success leave p below 1 - 0.05^(1/n) with 95 % confidence (Clopper and Pearson 1934).
    """
    rate, n = found.kinds[:, 0], found.kinds[:, 1]
    is_exact = np.isnan(n)
    unsolved = rate == 0
    bound = 1.0 - _DOUBT ** (1.0 / np.where(is_exact, 1.0, n))
    sure = np.where(is_exact, rate < _ALMOST_ZERO, unsolved & (bound < _SURE_BELOW))
    below = found.posterior @ (found.p < _ALMOST_ZERO).astype(np.float64)
    counts = found.counts
    return Broken(int(counts[sure].sum()), int(counts[unsolved].sum()), float((counts * below)[unsolved].sum()))
