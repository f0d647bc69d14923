"""Linear models on sparse or dense features, tuned inside the training rows; the scaling is folded into the weights."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse import csr_matrix

from saerl_core.probe_rows import FeatureWeight
from saerl_core.signals.descent import Matrix, descent

_ALPHAS = 24
_PATIENCE = 5  # penalties without a gain that end the path
_ALPHA_RANGE = 1e-3  # smallest over largest penalty of the elastic net's path
_LOGISTIC_C = (1e-3, 1e-2, 1e-1, 1.0)
_RIDGE_ALPHA = (1.0, 10.0, 100.0, 1000.0, 10_000.0)


@dataclass(frozen=True)
class LinearModel:
    """A linear predictor in the space of the matrix that it was fitted on."""

    weights: Float[np.ndarray, " d"]
    intercept: float

    def predict(self, x: Matrix) -> Float[np.ndarray, " n"]:
        """Return x @ weights + intercept."""
        return np.asarray(x @ self.weights, dtype=np.float64).ravel() + self.intercept


def constant_model(value: float, n_features: int) -> LinearModel:
    """Return the model that predicts one value everywhere."""
    return LinearModel(np.zeros(n_features), float(value))


def feature_weights(model: LinearModel, x: Matrix) -> tuple[FeatureWeight, ...]:
    """Return the weights that are not 0, by column, each with its effect: weight x standard deviation in `x`."""
    effects = model.weights * _columns(x, 0)[1]
    return tuple(
        FeatureWeight(latent=int(j), weight=float(model.weights[j]), effect=float(effects[j]))
        for j in np.flatnonzero(model.weights)
    )


def fit_elastic_net(
    x: Matrix,
    y: Float[np.ndarray, " m"],
    inner_folds: Int[np.ndarray, " m"],
    l1_ratio: float,
    min_document_frequency: int,
) -> LinearModel:
    """Fit an elastic net; its penalty is chosen on the inner folds, then all rows are used.

    min_w 1/(2m) ||y - xw - b||^2 + alpha (l1_ratio ||w||_1 + (1 - l1_ratio)/2 ||w||_2^2), with every column divided by
    its standard deviation and none centred (a sparse matrix stays sparse; the intercept is free). The path of alpha
    starts where all weights are zero and ends where a smaller one has not predicted the inner folds better for
    `_PATIENCE` steps: weak labels are best fitted with large penalties, and the small ones are what takes long.
    Columns that are active in fewer than `min_document_frequency` rows get weight 0. Constant labels, or no column
    left, give the constant model.
    """
    keep, scale = _columns(x, min_document_frequency)
    if not keep.any() or np.ptp(y) == 0 or len(np.unique(inner_folds)) < 2:
        return constant_model(float(np.mean(y)), x.shape[1])
    scaled = _scaled(x, keep, scale)
    alpha_max = float(np.abs(scaled.T @ (y - y.mean())).max()) / (len(y) * l1_ratio)
    if alpha_max <= 1e-12:
        return constant_model(float(np.mean(y)), x.shape[1])
    alphas = np.geomspace(alpha_max, alpha_max * _ALPHA_RANGE, _ALPHAS)
    with _quiet():
        best = _best_alpha(scaled, y, list(_splits(inner_folds)), alphas, l1_ratio)
        path = descent(scaled, y, l1_ratio)
        for alpha in alphas[: best + 1]:  # warm: each starts from the one before
            weights, intercept = path(float(alpha))
    return _unfold(weights, intercept, keep, scale)


def _best_alpha(
    x: Matrix,
    y: Float[np.ndarray, " m"],
    splits: list[tuple[np.ndarray, np.ndarray]],  # rows to fit on, rows to judge on
    alphas: Float[np.ndarray, " k"],
    l1_ratio: float,
) -> int:
    """Return the place of the penalty of the smallest mean squared error, averaged over the inner folds."""
    paths = [descent(x[train], y[train], l1_ratio) for train, _ in splits]
    errors: list[float] = []
    for alpha in alphas:
        found = []
        for path, (_, test) in zip(paths, splits, strict=True):
            weights, intercept = path(float(alpha))
            found.append(float(((np.asarray(x[test] @ weights).ravel() + intercept - y[test]) ** 2).mean()))
        errors.append(float(np.mean(found)))
        if len(errors) - 1 - int(np.argmin(errors)) >= _PATIENCE:
            break
    return int(np.argmin(errors))


def fit_logistic(
    x: Matrix, y: Float[np.ndarray, " m"], held_out: Int[np.ndarray, " m"], min_document_frequency: int
) -> LinearModel:
    """Fit an L2 logistic regression with balanced classes; `predict` gives the log-odds.

    C is the one of the highest AUC on the rows where `held_out` is 1, fitted on the others; then all rows are used.
    """
    from sklearn.linear_model import LogisticRegression

    def fit(rows: Matrix, labels: Float[np.ndarray, " m"], c: float) -> tuple[Float[np.ndarray, " d"], float]:
        model = LogisticRegression(C=c, class_weight="balanced", max_iter=200, tol=1e-3)
        with _quiet():
            model.fit(rows, labels.astype(np.int64))
        return model.coef_.ravel(), float(model.intercept_[0])

    return _fit_tuned(x, y, held_out, min_document_frequency, _LOGISTIC_C, fit)


def fit_ridge(
    x: Matrix, y: Float[np.ndarray, " m"], held_out: Int[np.ndarray, " m"], min_document_frequency: int
) -> LinearModel:
    """Fit a ridge regression; its penalty has the highest correlation on the rows where `held_out` is 1."""
    from sklearn.linear_model import Ridge

    def fit(rows: Matrix, labels: Float[np.ndarray, " m"], alpha: float) -> tuple[Float[np.ndarray, " d"], float]:
        model = Ridge(
            alpha=alpha, solver="sparse_cg" if isinstance(rows, csr_matrix) else "auto", tol=1e-4, max_iter=500
        )
        with _quiet():
            model.fit(rows, labels)
        return model.coef_.ravel(), float(model.intercept_)

    return _fit_tuned(x, y, held_out, min_document_frequency, _RIDGE_ALPHA, fit)


def _fit_tuned(
    x: Matrix,
    y: Float[np.ndarray, " m"],
    held_out: Int[np.ndarray, " m"],
    min_document_frequency: int,
    strengths: tuple[float, ...],
    fit: Callable[[Matrix, Float[np.ndarray, " m"], float], tuple[Float[np.ndarray, " d"], float]],
) -> LinearModel:
    keep, scale = _columns(x, min_document_frequency)
    if not keep.any() or np.ptp(y) == 0:
        return constant_model(0.0 if np.isin(y, (0.0, 1.0)).all() else float(np.mean(y)), x.shape[1])
    scaled = _scaled(x, keep, scale)
    train, inner = np.flatnonzero(held_out == 0), np.flatnonzero(held_out == 1)
    best = strengths[len(strengths) // 2]
    if np.ptp(y[train]) > 0 and np.ptp(y[inner]) > 0:
        found = []
        for strength in strengths:
            weights, _ = fit(scaled[train], y[train], strength)
            found.append(_correlation(np.asarray(scaled[inner] @ weights).ravel(), y[inner]))
        best = strengths[int(np.argmax(found))]
    weights, intercept = fit(scaled, y, best)
    return _unfold(weights, intercept, keep, scale)


def _correlation(scores: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"]) -> float:
    """Rank correlation with the labels; for two classes it orders models as the AUC does."""
    from saerl_core.signals.scores import spearman

    return spearman(scores, y)


def _columns(x: Matrix, min_document_frequency: int) -> tuple[np.ndarray, Float[np.ndarray, " d"]]:
    """Return which columns may be used and what each is divided by."""
    n = x.shape[0]
    if isinstance(x, csr_matrix):
        squared = csr_matrix(x, dtype=np.float64, copy=True)
        squared.data **= 2
        mean = np.asarray(x.mean(axis=0, dtype=np.float64)).ravel()
        variance = np.asarray(squared.mean(axis=0)).ravel() - mean**2
        # An all-ones column has full frequency but no variance; the floor keeps it from dividing by zero.
        frequency = np.bincount(x.indices[x.data != 0], minlength=x.shape[1])
        keep = (frequency >= min(min_document_frequency, n)) & (variance > 1e-12)
    else:
        variance = np.asarray(x, dtype=np.float64).var(axis=0)
        keep = variance > 1e-12
    return keep, np.sqrt(np.where(keep, variance, 1.0))


def _scaled(x: Matrix, keep: np.ndarray, scale: Float[np.ndarray, " d"]) -> Matrix:
    if isinstance(x, csr_matrix):
        return csr_matrix(x[:, keep].astype(np.float64) @ sparse.diags(1.0 / scale[keep]))
    return np.asarray(x, dtype=np.float64)[:, keep] / scale[keep]


def _unfold(
    coefficients: Float[np.ndarray, " kept"], intercept: float, keep: np.ndarray, scale: Float[np.ndarray, " d"]
) -> LinearModel:
    weights = np.zeros(len(keep))
    weights[keep] = coefficients / scale[keep]
    return LinearModel(weights, intercept)


def _splits(folds: Int[np.ndarray, " m"]) -> Iterator[tuple[Int[np.ndarray, " a"], Int[np.ndarray, " b"]]]:
    for fold in np.unique(folds):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the solvers' convergence warnings: a penalty that does not converge loses on the inner rows."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
