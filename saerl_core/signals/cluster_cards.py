"""What a person reads about each cluster: its strongest features, its most typical prompts, its topic."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from saerl_core.records import ClusterCard

_N_FEATURES = 8
_N_PROMPTS = 4
_MAX_CHARS = 240


def describe_clusters(
    pool: pd.DataFrame,
    matrix: csr_matrix,
    cluster_ids: Int[np.ndarray, " n"],
    distances: Float[np.ndarray, " n"],
) -> tuple[ClusterCard, ...]:
    """Return one card a cluster, in the order of the ids; rows of all arguments correspond."""
    mean, deviation = _mean_and_deviation(matrix)
    cards = []
    for cluster in range(int(cluster_ids.max()) + 1):
        rows = np.flatnonzero(cluster_ids == cluster)
        nearest = rows[np.lexsort((rows, distances[rows]))]
        topic, share = _main_topic(pool["topic"].iloc[rows])
        cards.append(
            ClusterCard(
                cluster_id=cluster,
                size=len(rows),
                top_features=strongest_features(matrix[rows], mean, deviation),
                nearest_prompts=_different(pool["prompt"].astype(str).to_numpy()[nearest]),
                main_topic=topic,
                main_topic_frac=share,
            )
        )
    return tuple(cards)


def strongest_features(
    rows: csr_matrix, pool_mean: Float[np.ndarray, " d_sae"], pool_deviation: Float[np.ndarray, " d_sae"]
) -> tuple[tuple[int, float], ...]:
    """Return (latent, lift) of the latents that stand out most, highest first, positive lifts only.

    lift = (mean in the cluster - mean of the pool) / standard deviation in the pool; ties by latent number.
    """
    lift = (np.asarray(rows.mean(axis=0)).ravel() - pool_mean) / np.where(pool_deviation > 0, pool_deviation, 1.0)
    order = np.lexsort((np.arange(len(lift)), -lift))[:_N_FEATURES]
    return tuple((int(j), float(lift[j])) for j in order if lift[j] > 1e-9)


def _mean_and_deviation(matrix: csr_matrix) -> tuple[Float[np.ndarray, " d_sae"], Float[np.ndarray, " d_sae"]]:
    squared = matrix.copy().astype(np.float64)
    squared.data **= 2
    mean = np.asarray(matrix.mean(axis=0, dtype=np.float64)).ravel()
    variance = np.asarray(squared.mean(axis=0)).ravel() - mean**2
    return mean, np.sqrt(np.maximum(variance, 0.0))


def _main_topic(topics: pd.Series) -> tuple[str | None, float | None]:
    known = topics.dropna().astype(str)
    if known.empty:
        return None, None
    counts = known.value_counts()
    best = min(counts.index[counts == counts.max()])
    return str(best), float(counts[best] / len(known))


def _different(prompts: np.ndarray) -> tuple[str, ...]:
    """Return the first few different prompts, shortened for a card."""
    found: list[str] = []
    for prompt in prompts:
        text = prompt if len(prompt) <= _MAX_CHARS else prompt[: _MAX_CHARS - 1].rstrip() + "…"
        if text not in found:
            found.append(text)
        if len(found) == _N_PROMPTS:
            break
    return tuple(found)
