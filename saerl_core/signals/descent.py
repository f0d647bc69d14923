"""Coordinate descent along a falling penalty: every solution starts from the one before."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix

Matrix: TypeAlias = "csr_matrix | np.ndarray"  # n x d
Path: TypeAlias = "Callable[[float], tuple[np.ndarray, float]]"  # penalty -> weights, intercept

_GRAM_COLUMNS = 4096  # up to here the Gram matrix (134 MB) is cheaper than passing over the rows
_GRAM_DENSITY = 0.1  # a sparser matrix is faster as it is
_TOLERANCE = 1e-3
_SWEEPS = 300  # over the columns, at most, for one penalty: what bounds the time of a fit


def descent(x: Matrix, y: Float[np.ndarray, " m"], l1_ratio: float) -> Path:
    """Return the function that solves the elastic net for a penalty, warm from the call before.

    min_w 1/(2m) ||y - xw - b||^2 + alpha (l1_ratio ||w||_1 + (1 - l1_ratio)/2 ||w||_2^2). A matrix that is not sparse
    goes through its Gram matrix, computed once: mean-pooled SAE features are half full, and there it is four times as
    fast.
    """
    if x.shape[1] <= _GRAM_COLUMNS and _is_full(x):
        return _by_gram(x.toarray() if isinstance(x, csr_matrix) else x, y, l1_ratio)
    return _by_rows(x, y, l1_ratio)


def _is_full(x: Matrix) -> bool:
    return not isinstance(x, csr_matrix) or x.nnz >= _GRAM_DENSITY * x.shape[0] * x.shape[1]


def _by_gram(x: Float[np.ndarray, "m d"], y: Float[np.ndarray, " m"], l1_ratio: float) -> Path:
    from sklearn.linear_model import enet_path

    middle, mean = x.mean(axis=0), float(y.mean())
    centred, labels = np.asfortranarray(x - middle), y - mean
    gram, products = np.ascontiguousarray(centred.T @ centred), centred.T @ labels
    state = np.zeros(x.shape[1])

    def solve(alpha: float) -> tuple[np.ndarray, float]:
        nonlocal state
        _, weights, _ = enet_path(
            centred,
            labels,
            l1_ratio=l1_ratio,
            alphas=[alpha],
            precompute=gram,
            Xy=products,
            coef_init=state,
            tol=_TOLERANCE,
            max_iter=_SWEEPS,
            check_input=False,
        )
        state = np.ascontiguousarray(weights[:, 0])
        return state, mean - float(middle @ state)

    return solve


def _by_rows(x: Matrix, y: Float[np.ndarray, " m"], l1_ratio: float) -> Path:
    from sklearn.linear_model import ElasticNet

    model = ElasticNet(l1_ratio=l1_ratio, tol=_TOLERANCE, max_iter=_SWEEPS, warm_start=True)
    rows = x if isinstance(x, csr_matrix) else np.asfortranarray(x)

    def solve(alpha: float) -> tuple[np.ndarray, float]:
        model.set_params(alpha=alpha).fit(rows, y)
        return np.array(model.coef_).ravel(), float(model.intercept_)

    return solve
