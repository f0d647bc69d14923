"""pass@k, means over prompts and over benchmarks, and their standard errors."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Int

from saerl_core.errors import ConfigError


def pass_at_k(n_samples: int, n_correct: Int[np.ndarray, " n"], k: int) -> Float64[np.ndarray, " n"]:
    """Estimate for each prompt the chance that at least one of `k` completions is correct, without bias.

        pass@k = 1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n - c + 1}^{n} (1 - k / i)

    with n completions of which c are correct (Chen et al. 2021, "Evaluating Large Language Models Trained on Code",
    equation 1); for k = 1 that is c / n.

    Raises:
        ConfigError: k is not in 1 ... n_samples, where the estimator does not exist.
    """
    if not 1 <= k <= n_samples:
        raise ConfigError(f"pass@{k} cannot be estimated from {n_samples} completions; k must be in 1 ... {n_samples}")
    by_count = np.ones(n_samples + 1)  # index: n_correct
    for c in range(n_samples - k + 1):
        by_count[c] = 1.0 - np.prod(1.0 - k / np.arange(n_samples - c + 1, n_samples + 1))
    chosen: Float64[np.ndarray, " n"] = by_count[n_correct]
    return chosen


def mean_and_stderr(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the mean over prompts and its standard error, s / sqrt(n) with s of n - 1 degrees of freedom.

    The prompt is the unit that was drawn: its completions are not independent of each other, therefore they enter as
    one value. For a paired comparison give the differences. One prompt has no standard error: NaN.
    """
    n = len(values)
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")


def mean_of_estimates(estimates: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the unweighted mean of independent estimates and its standard error, sqrt(sum of squares) / m.

    The estimates are fixed benchmarks: the error covers the choice of the prompts in each, not the choice of the
    benchmarks. It is NaN where one of them has none.
    """
    values, errors = np.array(estimates).T
    return float(values.mean()), float(np.sqrt(np.square(errors).sum()) / len(values))
