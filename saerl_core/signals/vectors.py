"""One short dense row a prompt: what online strategies share between prompts."""

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy.sparse import csr_matrix, issparse

from saerl_core.config.run import VectorsConfig
from saerl_core.errors import DataError
from saerl_core.records import ControlFeatures, PromptVectors, SaeFeatures
from saerl_core.signals.descent import Matrix
from saerl_core.signals.spaces import control_rows, lengths, log1p, tfidf
from saerl_core.tables import LIKELIHOOD

_FLOOR = 0.05  # nats a token; below it a likelihood is as good as certain
_MIN_OF_A_KIND, _MAX_KINDS, _METADATA_SCALE = 10, 100, 2.0
_LIKELIHOOD_SCALE = 1.5  # standard deviations of a likelihood column, those of the other columns being 1


def prompt_vectors(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    controls: ControlFeatures,
    likelihood: pd.DataFrame | None,
    config: VectorsConfig,
    seed: int,
) -> PromptVectors:
    """Return the leading principal components of the chosen features, whitened, then log likelihoods where given.

    With `use_metadata` columns of topic and level follow. `surface` is length and TF-IDF; `none` has no component, so
    that only likelihoods and what is remembered of a prompt tell it from others. Rows follow `prompts`. Raises
    `DataError` when a prompt lacks features or likelihood.
    """
    ids = [str(p) for p in prompts["prompt_id"]]
    columns = [np.zeros((len(ids), 0))]
    if config.features == "angles":
        columns.append(_angles(ids, controls))
    elif config.features != "none":
        columns.append(whitened(_space(prompts, ids, features, controls, config), config.n_components, seed))
    if likelihood is not None:
        columns.append(_log_likelihoods(ids, likelihood))
    if config.use_metadata:
        columns.append(metadata(prompts))
    return PromptVectors(tuple(ids), np.hstack(columns))


def whitened(matrix: Matrix, n_components: int, seed: int) -> Float64[np.ndarray, "n k"]:
    """Return the leading components (a truncated SVD), each with mean 0 and standard deviation 1.

    At most as many as the matrix has rows and columns less one; a component without spread is left out.
    """
    from sklearn.decomposition import TruncatedSVD

    k = min(n_components, matrix.shape[0] - 1, matrix.shape[1] - 1)
    if k < 1:
        raise DataError(f"a matrix of {matrix.shape[0]} x {matrix.shape[1]} has no components; give more prompts")
    dense = None if issparse(matrix) else np.asarray(matrix) - np.mean(matrix, axis=0)
    scores = TruncatedSVD(k, random_state=seed).fit_transform(matrix if dense is None else dense)
    spread = scores.std(axis=0)
    kept = spread > 1e-9 * max(float(spread.max()), 1e-30)
    return np.asarray((scores[:, kept] - scores[:, kept].mean(axis=0)) / spread[kept], dtype=np.float64)


def metadata(prompts: pd.DataFrame) -> Float64[np.ndarray, "n d"]:
    """Return a centred column for each topic, each level and each pair of both; none where the data name neither.

    Kinds that fewer than ten prompts have get no column, and of each sort the most frequent hundred do.
    """
    topic, level = prompts["topic"].astype("string"), prompts["level"].astype("string")
    columns = [np.zeros((len(prompts), 0))]
    for kind in (topic, level, topic + " " + level):
        counts = kind.value_counts()
        names = counts[counts >= _MIN_OF_A_KIND].index[:_MAX_KINDS]
        if len(names) > 1:
            found = (kind.to_numpy(dtype=object)[:, np.newaxis] == names.to_numpy(dtype=object)).astype(np.float64)
            columns.append(_METADATA_SCALE * (found - found.mean(axis=0)))
    return np.hstack(columns)


def surface(texts: list[str]) -> Float64[np.ndarray, "n d"]:
    """Return what needs no model: leading components of TF-IDF, and the lengths; every column of spread 1."""
    sizes = lengths(texts)
    sizes = (sizes - sizes.mean(axis=0)) / np.maximum(sizes.std(axis=0), 1e-9)
    return np.hstack([whitened(tfidf(texts), 96, 0), sizes])


def _space(
    prompts: pd.DataFrame, ids: list[str], features: SaeFeatures, controls: ControlFeatures, config: VectorsConfig
) -> Matrix:
    if config.features == "sae":
        return _standardised(log1p(features.rows(ids)))
    if config.features == "surface":
        return surface([str(t) for t in prompts["prompt"]])
    dense, random_sae = control_rows(controls, ids)
    return np.asarray(dense, dtype=np.float64) if config.features == "dense" else _standardised(log1p(random_sae))


def _angles(ids: list[str], controls: ControlFeatures) -> Float64[np.ndarray, "n 1"]:
    """Return the angle concentration of every prompt, standardised; it is a single column."""
    if controls.concentration is None:
        raise DataError("the angle concentration of the prompts was not measured; extract their features again")
    where = {p: i for i, p in enumerate(controls.prompt_ids)}
    missing = next((p for p in ids if p not in where), None)
    if missing is not None:
        raise DataError(f"prompt {missing} has no control features; extract them for the whole pool")
    found = np.asarray(controls.concentration, dtype=np.float64)[[where[p] for p in ids]]
    standard: Float64[np.ndarray, " n"] = (found - found.mean()) / max(float(found.std()), 1e-9)
    return standard[:, np.newaxis]


def _standardised(matrix: csr_matrix) -> csr_matrix:
    """Divide every column by its standard deviation; zeros stay zeros, so the matrix stays sparse."""
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    variance = np.asarray(matrix.multiply(matrix).mean(axis=0)).ravel() - mean**2
    scale = np.where(variance > 1e-12, 1.0 / np.sqrt(np.maximum(variance, 1e-12)), 0.0)
    return csr_matrix(matrix.multiply(scale[None, :]))


def _log_likelihoods(ids: list[str], likelihood: pd.DataFrame) -> Float64[np.ndarray, "n 4"]:
    table = LIKELIHOOD.check(likelihood).set_index("prompt_id")
    missing = next((p for p in ids if p not in table.index), None)
    if missing is not None:
        raise DataError(f"prompt {missing} has no likelihood; measure it for the whole pool")
    logs = np.log(_FLOOR + table.loc[ids].to_numpy(dtype=np.float64))
    spread = np.maximum(logs.std(axis=0), 1e-9)
    return np.asarray(_LIKELIHOOD_SCALE * (logs - logs.mean(axis=0)) / spread)
