"""Scores of predictions: rank correlation, R2, AUC, intervals and the ceiling that label noise sets."""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

_BATCH = 64  # bootstrap replicates ranked at once: bounds the memory


def spearman(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Return the rank correlation with ties averaged; 0 when either side is constant or has fewer than two values."""
    return pearson(rankdata(a), rankdata(b)) if len(a) > 1 else 0.0


def pearson(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Return the linear correlation; 0 when either side is constant or has fewer than two values."""
    if len(a) < 2 or np.ptp(a) < 1e-12 or np.ptp(b) < 1e-12:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def r2(truth: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"]) -> float:
    """Return 1 - SSE / SST; 0 when the truth is constant."""
    total = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - predicted) ** 2).sum()) / total if total > 0 else 0.0


def mae(truth: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"]) -> float:
    """Return the mean absolute error."""
    return float(np.abs(truth - predicted).mean())


def auc(is_positive: np.ndarray, scores: Float[np.ndarray, " n"]) -> float:
    """Return P(score of a positive > score of a negative), ties half; NaN when a class is missing.

    The Mann-Whitney statistic: (rank sum of positives - n1 (n1 + 1) / 2) / (n1 n0).
    """
    n1 = int(is_positive.sum())
    n0 = len(is_positive) - n1
    if n1 == 0 or n0 == 0:
        return float("nan")
    return float((rankdata(scores)[is_positive.astype(bool)].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def auc_difference(
    is_positive: np.ndarray, first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]
) -> tuple[float, float]:
    """Return AUC(first) - AUC(second) on the same rows and its standard error (DeLong, DeLong, Clarke-Pearson 1988).

    A row's placement is the share of the other class that it is ranked on the right side of; the AUC is the mean
    placement of either class, so Var = Var(placements of positives) / n1 + Var(placements of negatives) / n0, taken of
    the paired differences. Each class needs two rows.
    """
    mask = is_positive.astype(bool)
    positive = _placements(first[mask], first[~mask]) - _placements(second[mask], second[~mask])
    negative = _placements(-first[~mask], -first[mask]) - _placements(-second[~mask], -second[mask])
    variance = positive.var(ddof=1) / len(positive) + negative.var(ddof=1) / len(negative)
    return float(positive.mean()), float(np.sqrt(variance))


def _placements(rows: Float[np.ndarray, " a"], others: Float[np.ndarray, " b"]) -> Float[np.ndarray, " a"]:
    """Return, for each row, the share of `others` below it, ties half."""
    ranks = rankdata(np.concatenate([rows, others]))[: len(rows)]
    return np.asarray((ranks - rankdata(rows)) / len(others))


def spearman_within(
    truth: Float[np.ndarray, " n"],
    predicted: Float[np.ndarray, " n"],
    clusters: Int[np.ndarray, " n"],
    min_size: int = 5,
) -> float:
    """Return the size-weighted mean of the rank correlations inside clusters.

    Clusters of fewer than `min_size` rows, or with one label only, say nothing and are left out; NaN when none is left.
    """
    total, weight = 0.0, 0
    for cluster in np.unique(clusters):
        rows = clusters == cluster
        if rows.sum() >= min_size and np.ptp(truth[rows]) > 0:
            total += spearman(truth[rows], predicted[rows]) * int(rows.sum())
            weight += int(rows.sum())
    return total / weight if weight else float("nan")


def bootstrap_spearman(
    truth: Float[np.ndarray, " n"],
    predictions: list[Float[np.ndarray, " n"]],
    rng: np.random.Generator,
    n_replicates: int = 1000,
) -> Float[np.ndarray, "r p"]:
    """Return the rank correlation of every prediction in every bootstrap replicate, paired over the rows."""
    out = np.empty((n_replicates, len(predictions)))
    n = len(truth)
    for start in range(0, n_replicates, _BATCH):
        draw = rng.integers(n, size=(min(_BATCH, n_replicates - start), n))
        label_ranks = _centred_ranks(truth[draw])
        for j, predicted in enumerate(predictions):
            ranks = _centred_ranks(predicted[draw])
            norm = np.sqrt((ranks**2).sum(axis=1) * (label_ranks**2).sum(axis=1))
            out[start : start + len(draw), j] = (ranks * label_ranks).sum(axis=1) / np.maximum(norm, 1e-12)
    return out


def _centred_ranks(values: Float[np.ndarray, "r n"]) -> Float[np.ndarray, "r n"]:
    ranks = np.asarray(rankdata(values, axis=1), dtype=np.float64)
    return np.asarray(ranks - ranks.mean(axis=1, keepdims=True))


def noise_ceiling(
    n_correct: Int[np.ndarray, " m"], n_rollouts: Int[np.ndarray, " m"], rng: np.random.Generator, n_splits: int = 50
) -> tuple[float, float]:
    """Return the highest R2 and Spearman that a perfect predictor of the true pass rate could reach, about.

    R2: 1 - mean binomial variance of a measured rate / variance of the measured rates, with the unbiased
    p (1 - p) / (n - 1). Spearman: the rollouts are split at random into halves, r is the mean rank correlation of the
    halves, the full measurement has reliability 2r / (1 + r) (Spearman-Brown), and the ceiling is its root.
    NaN where fewer than two rollouts a prompt, or equal rates, allow no estimate.
    """
    several = n_rollouts >= 2
    correct, total = n_correct[several], n_rollouts[several]
    rates = correct / np.maximum(total, 1)
    if len(rates) < 3 or np.ptp(rates) == 0:
        return float("nan"), float("nan")
    noise = float((rates * (1 - rates) / (total - 1)).mean())
    ceiling_r2 = max(0.0, 1.0 - noise / float(rates.var()))
    half = total // 2
    found = []
    for _ in range(n_splits):
        first = rng.hypergeometric(correct, total - correct, half)
        found.append(spearman(first / half, (correct - first) / (total - half)))
    r = max(0.0, float(np.mean(found)))
    return ceiling_r2, float(np.sqrt(2 * r / (1 + r)))
