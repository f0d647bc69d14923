"""Groups of prompts that the SAE sees as alike."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix, issparse

from saerl_core.config.run import ClustersConfig
from saerl_core.config.signals import Space
from saerl_core.errors import DataError
from saerl_core.records import ClustersReport, ControlFeatures, SaeFeatures
from saerl_core.seeds import stage_rng, stage_seed
from saerl_core.signals.cluster_cards import describe_clusters
from saerl_core.signals.spaces import control_rows, dealt, log1p, name_of, space_notes, tfidf
from saerl_core.tables import CLUSTERS

_MINIBATCH_ROWS = 50_000  # above this k-means sees batches
_SILHOUETTE_ROWS = 2000
_MAP_ROWS = 1500
_MOST_CLUSTERS = 16  # where the number is not set
_BATCHES_A_CLUSTER = 4  # where the number is not set: fewer, and a low-quality prompt left out costs a whole batch
_PROMPTS_A_CLUSTER = 4  # where the pool is smaller than the number of clusters


@dataclass(frozen=True)
class _Grouping:
    """Cluster of every row, 0 the largest, and the distance to its centre."""

    ids: Int[np.ndarray, " n"]
    distances: Float[np.ndarray, " n"]

    @property
    def n_clusters(self) -> int:
        """Number of clusters that hold a row."""
        return int(self.ids.max()) + 1


def cluster_prompts(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    config: ClustersConfig,
    seed: int,
    controls: ControlFeatures | None = None,
    space: Space = "sae",
    prompts_per_step: int | None = None,
) -> tuple[pd.DataFrame, ClustersReport]:
    """Group the pool by spherical k-means: log(1 + x), L2, truncated SVD, L2, k-means.

    The centres are fitted on the usable prompts, and every prompt gets the nearest one. Ids are numbered by size, 0
    the largest (ties: the one that holds the smallest prompt_id). `centroid_distance` is Euclidean in the embedded
    space, 0 to 2. Independent of the row order. A prompt without any active feature is the zero vector there.
    When fewer different embeddings exist than `n_clusters`, there are as many clusters as embeddings and the report
    says so; a pool of fewer usable prompts than clusters gets one cluster for every four. Without `n_clusters` there
    are as many as give each of them four batches of `prompts_per_step`, 1 to 16. Raises `DataError` for a pool without
    usable prompts.
    """
    pool = prompts.sort_values("prompt_id", ignore_index=True)
    usable = pool["usable"].to_numpy(dtype=bool)
    k, small = _fit_to_pool(config.n_clusters, int(usable.sum()), len(pool), prompts_per_step)
    matrix = features.rows([str(p) for p in pool["prompt_id"]])
    points = embed(
        _space_of(pool, matrix, controls, space), usable, config.svd_components, stage_seed(seed, "cluster_svd")
    )
    grouping, notes = _group(points, usable, k, config.n_init, stage_seed(seed, "cluster_kmeans"))
    notes = [*small, *notes]
    n_silent = int((np.diff(matrix.indptr) == 0).sum())
    if n_silent:
        notes.append(f"{n_silent} prompts have no active feature; they sit together at the origin of the space.")
    chart, shown, sample = _map(points, grouping, seed)
    overlap = ": clusters that overlap on it may be apart in the other directions" if grouping.n_clusters > 1 else ""
    notes.append(
        "The map shows the first two principal components of the embedded space that k-means works in "
        f"({shown:.0%} of its variance){overlap}."
    )
    report = ClustersReport(
        stage="clusters",
        values={**_values(pool, points, grouping, seed), "n_silent": float(n_silent), "map_variance": shown},
        cards=describe_clusters(pool, matrix, grouping.ids, grouping.distances),
        map_points=chart,
        map_prompts=tuple(str(p) for p in pool["prompt_id"].iloc[sample]),
        notes=tuple(notes),
    )
    report = report.model_copy(update={"notes": (*report.notes, *space_notes(space))})
    return dealt(_table(prompts, pool, grouping), space, seed, "clusters"), report


def _space_of(
    pool: pd.DataFrame, matrix: csr_matrix, controls: ControlFeatures | None, space: Space
) -> csr_matrix | Float[np.ndarray, "n d"]:
    """Return what is clustered: the SAE's rows, or those of a control."""
    if name_of(space) == "sae":
        return matrix
    if space == "surface":
        return tfidf([str(text) for text in pool["prompt"]])
    if controls is None:
        raise DataError(f"signals.space is '{space}', but there are no control features; extract them with the SAE's")
    dense, random_sae = control_rows(controls, [str(p) for p in pool["prompt_id"]])
    return np.asarray(dense - dense.mean(axis=0), dtype=np.float64) if space == "dense" else random_sae


def _table(prompts: pd.DataFrame, pool: pd.DataFrame, grouping: _Grouping) -> pd.DataFrame:
    """Return the clusters in the row order of `prompts`."""
    columns = {"prompt_id": pool["prompt_id"].astype(str), "cluster_id": grouping.ids}
    table = pd.DataFrame({**columns, "centroid_distance": grouping.distances}).set_index("prompt_id")
    return CLUSTERS.check(table.reindex([str(p) for p in prompts["prompt_id"]]).reset_index())


def _fit_to_pool(wanted: int | None, n_usable: int, n: int, prompts_per_step: int | None) -> tuple[int, list[str]]:
    """Return how many clusters there shall be: those asked for, or what a pool can fill, and the sentence about it."""
    if n_usable == 0:
        raise DataError(f"none of the {n} prompts is usable, so there is nothing to cluster; their flags say why")
    if wanted is None and prompts_per_step is not None:
        k = min(_MOST_CLUSTERS, max(1, n_usable // (_BATCHES_A_CLUSTER * prompts_per_step)))
        if k == _MOST_CLUSTERS:
            return k, []
        if k == 1:
            return k, [
                f"clusters.n_clusters is not set: {n_usable} usable prompts are one cluster; two of about "
                f"{_BATCHES_A_CLUSTER} batches of {prompts_per_step} would take "
                f"{2 * _BATCHES_A_CLUSTER * prompts_per_step}."
            ]
        return k, [
            f"clusters.n_clusters is not set: there are {k}, so that {n_usable} usable prompts give a cluster about "
            f"{_BATCHES_A_CLUSTER} batches of {prompts_per_step}."
        ]
    wanted = wanted or _MOST_CLUSTERS
    if n_usable >= wanted:
        return wanted, []
    fewer = max(1, n_usable // _PROMPTS_A_CLUSTER)
    note = (
        f"{n_usable} usable prompts cannot fill clusters.n_clusters = {wanted}: there {'is' if fewer == 1 else 'are'} "
        f"{fewer}, one for every {_PROMPTS_A_CLUSTER} prompts."
    )
    return fewer, [note]


def embed(
    matrix: csr_matrix | Float[np.ndarray, "n d"], fit_on: np.ndarray, n_components: int, seed: int
) -> Float[np.ndarray, "n c"]:
    """Return log(1 + x) (dense rows as they are) of unit length, in `n_components` singular directions, again so.

    The directions are fitted on the rows of the mask `fit_on`. Rows without a stored value stay zero.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    rows = normalize(log1p(matrix) if issparse(matrix) else csr_matrix(matrix))
    train = rows[np.flatnonzero(fit_on)]
    rank = min(n_components, min(train.shape) - 1)
    if rank < 1:  # one prompt or one feature: nothing to reduce
        return np.asarray(rows.toarray(), dtype=np.float64)
    with warnings.catch_warnings():
        # All-equal rows: the share of explained variance is 0/0, which is not used here.
        warnings.simplefilter("ignore", RuntimeWarning)
        svd = TruncatedSVD(rank, random_state=seed).fit(train)
    return np.asarray(normalize(svd.transform(rows)), dtype=np.float64)


def _group(
    points: Float[np.ndarray, "n c"], usable: np.ndarray, wanted: int, n_init: int, seed: int
) -> tuple[_Grouping, list[str]]:
    train = points[usable]
    n_different = len(np.unique(np.round(train, 9), axis=0)) if len(train) <= _MINIBATCH_ROWS else wanted
    k = min(wanted, n_different)
    notes = []
    if k < wanted:
        exist = "embedding exists: 1 cluster" if k == 1 else f"embeddings exist: {k} clusters"
        notes.append(f"Only {k} different {exist} instead of {wanted}.")
    centres = _centres(train, k, n_init, seed)
    distances = np.sqrt(np.maximum(_squared_distances(points, centres), 0.0))
    raw = distances.argmin(axis=1)
    sizes = np.bincount(raw, minlength=k)
    first = np.array([np.flatnonzero(raw == c)[0] if sizes[c] else len(raw) for c in range(k)])
    order = np.lexsort((first, -sizes))
    rank = np.empty(k, dtype=np.int64)
    rank[order] = np.arange(k)
    return _Grouping(rank[raw], distances[np.arange(len(raw)), raw]), notes


def _centres(train: Float[np.ndarray, "m c"], k: int, n_init: int, seed: int) -> Float[np.ndarray, "k c"]:
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    if len(train) > _MINIBATCH_ROWS:
        model = MiniBatchKMeans(k, n_init=n_init, random_state=seed, batch_size=4096)
    else:
        model = KMeans(k, n_init=n_init, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(model.fit(train).cluster_centers_)


def _squared_distances(points: Float[np.ndarray, "n c"], centres: Float[np.ndarray, "k c"]) -> Float[np.ndarray, "n k"]:
    squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)[None, :]
    return np.asarray(squares - 2.0 * points @ centres.T)


def _values(pool: pd.DataFrame, points: Float[np.ndarray, "n c"], grouping: _Grouping, seed: int) -> dict[str, float]:
    sizes = np.bincount(grouping.ids)
    rng = stage_rng(seed, "cluster_scores")
    rows = np.sort(rng.permutation(len(points))[:_SILHOUETTE_ROWS])
    ids = grouping.ids[rows]
    found = {
        "n_clusters": float(grouping.n_clusters),
        "largest": float(sizes.max()),
        "smallest": float(sizes.min()),
        "silhouette": _silhouette(points[rows], ids),
        # The control: the same sizes, dealt at random.
        "silhouette_random": _silhouette(points[rows], rng.permutation(ids)),
        "mean_centroid_distance": float(grouping.distances.mean()),
    }
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    topics, levels = pool["topic"].notna().to_numpy(), pool["level"].notna().to_numpy()
    if topics.any():
        names = pool["topic"].to_numpy()[topics].astype(str)
        found["nmi_topic"] = float(normalized_mutual_info_score(names, grouping.ids[topics]))
        found["ari_topic"] = float(adjusted_rand_score(names, grouping.ids[topics]))
    if levels.any():
        steps = pool["level"].to_numpy(dtype=np.float64)[levels].astype(str)
        found["nmi_level"] = float(normalized_mutual_info_score(steps, grouping.ids[levels]))
    return found


def _silhouette(points: Float[np.ndarray, "n c"], ids: Int[np.ndarray, " n"]) -> float:
    """Return the mean silhouette; 0 where it is not defined (one cluster, or one row each)."""
    from sklearn.metrics import silhouette_score

    n_ids = len(np.unique(ids))
    return float(silhouette_score(points, ids)) if 2 <= n_ids < len(ids) else 0.0


def _map(
    points: Float[np.ndarray, "n c"], grouping: _Grouping, seed: int
) -> tuple[tuple[tuple[float, float, int], ...], float, np.ndarray]:
    """Return (x, y, cluster) of a sample of prompts on two principal axes, their share of the variance, the rows."""
    rows = np.sort(stage_rng(seed, "cluster_map").permutation(len(points))[:_MAP_ROWS])
    centred = points[rows] - points[rows].mean(axis=0)
    u, s, v = np.linalg.svd(centred, full_matrices=False)
    axes = np.zeros((len(rows), 2))
    found = min(2, len(s))
    signs = np.sign(v[np.arange(found), np.abs(v[:found]).argmax(axis=1)])  # a sign that does not depend on LAPACK
    axes[:, :found] = u[:, :found] * s[:found] * signs
    total = float((s**2).sum())
    shown = float((s[:found] ** 2).sum()) / total if total > 1e-12 else 0.0
    chart = tuple((float(x), float(y), int(c)) for (x, y), c in zip(axes, grouping.ids[rows], strict=True))
    return chart, shown, rows
