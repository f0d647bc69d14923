"""How true pass rates are spread, from measured ones: the noise of few rollouts taken out."""

import numpy as np
from jaxtyping import Float64

from saerl_core.advice.records import Estimate, KnownPassRates

_N_POINTS = 201
_MAX_ITERATIONS = 2000
_ENOUGH = 1e-8  # gain in log-likelihood a prompt from which on the estimate stands


def estimate(known: KnownPassRates) -> Estimate:
    r"""Estimate the distribution of true pass rates.

    Exact rates are their own distribution. Measured ones are a mixture of binomials: k of n correct has the
    likelihood p^k (1 - p)^(n - k), and the weights w of the grid p_j = sin^2(pi j / 400) maximise

        sum_i log sum_j w_j p_j^k_i (1 - p_j)^(n_i - k_i)

    by EM (Laird 1978, "Nonparametric maximum likelihood estimation of a mixing distribution"). With n rollouts a prompt
    the data tell the first n moments; what depends on higher ones, such as groups larger than n, is extrapolated.
    """
    if known.n_rollouts is None:
        values, counts = np.unique(known.rates, return_counts=True)
        kinds = np.column_stack([values, np.full(len(values), np.nan)])
        return Estimate(values, counts / counts.sum(), kinds, counts.astype(np.float64), np.eye(len(values)))
    pairs = np.column_stack([known.rates, known.n_rollouts])
    kinds, found = np.unique(pairs, axis=0, return_counts=True)
    return fitted(kinds, found.astype(np.float64))


def fitted(kinds: Float64[np.ndarray, "kinds 2"], counts: Float64[np.ndarray, " kinds"]) -> Estimate:
    """Fit the mixture to kinds of prompts (measured rate, n_rollouts) and how often each was seen."""
    p = np.sin(np.linspace(0.0, np.pi / 2, _N_POINTS)) ** 2
    likelihood = _likelihood(kinds, p)
    weights = np.full(len(p), 1.0 / len(p))
    last = -np.inf
    for _ in range(_MAX_ITERATIONS):
        joint = likelihood * weights
        total = joint.sum(axis=1)
        value = float(counts @ np.log(total)) / float(counts.sum())
        weights = (counts / total) @ joint / counts.sum()
        if value - last < _ENOUGH:
            break
        last = value
    joint = likelihood * weights
    return Estimate(p, weights, kinds, counts, joint / joint.sum(axis=1, keepdims=True))


def _likelihood(
    kinds: Float64[np.ndarray, "kinds 2"], p: Float64[np.ndarray, " grid"]
) -> Float64[np.ndarray, "kinds grid"]:
    """Return the likelihood of each kind at each p, scaled so that the largest of a kind is 1."""
    from scipy.special import xlog1py, xlogy

    rate, n = kinds[:, :1], kinds[:, 1:]
    logs = xlogy(n * rate, p) + xlog1py(n * (1 - rate), -p)
    return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True)))
