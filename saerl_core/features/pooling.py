"""From token codes to one row a prompt: mean, max and last in one pass."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from saerl_core.features.encoder import TokenCodes

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "max", "last"]
POOLINGS: tuple[Pooling, ...] = ("mean", "max", "last")


def pool_codes(
    codes: TokenCodes, row_of_token: Int[np.ndarray, " tokens"], shape: tuple[int, int]
) -> dict[Pooling, csr_matrix]:
    """Pool the codes of a batch to CSR rows (batch x d_sae, float32), for every pooling.

    mean = sum over kept tokens / number of kept tokens; max over kept tokens (0 where inactive); last = the last kept
    token. A prompt without kept tokens has an empty row. Memory follows the number of active latents, not d_sae.
    """
    n_rows, d_sae = shape
    n_tokens = np.bincount(row_of_token, minlength=n_rows)
    row = row_of_token[codes.token]
    cell = row.astype(np.int64) * d_sae + codes.latent
    order = np.argsort(cell, kind="stable")  # stable: a cell sums its tokens in reading order, whatever the batch
    cells, starts = np.unique(cell[order], return_index=True)
    value = codes.value[order].astype(np.float32)
    out: dict[Pooling, csr_matrix] = {}
    rows, latents = np.divmod(cells, d_sae)
    totals = np.add.reduceat(value, starts) if len(starts) else value
    highest = np.maximum.reduceat(value, starts) if len(starts) else value
    out["mean"] = _csr(rows, latents, totals / n_tokens[rows].astype(np.float32), shape)
    out["max"] = _csr(rows, latents, highest, shape)
    last = codes.token == _last_token(row_of_token, n_rows)[row]
    out["last"] = _csr(row[last], codes.latent[last], codes.value[last], shape)
    out["last"].sort_indices()
    return out


def pool_dense(
    hidden: "Float[torch.Tensor, 'tokens d_in']", row_of_token: Int[np.ndarray, " tokens"], n_rows: int
) -> dict[Pooling, Float[np.ndarray, "batch d_in"]]:
    """Pool activations themselves, for every pooling; a prompt without kept tokens has a row of zeros."""
    values = hidden.cpu().numpy()
    out: dict[Pooling, Float[np.ndarray, "batch d_in"]] = {
        name: np.zeros((n_rows, values.shape[1]), dtype=np.float32) for name in POOLINGS
    }
    if len(values):
        rows, starts, counts = np.unique(row_of_token, return_index=True, return_counts=True)
        out["mean"][rows] = np.add.reduceat(values, starts, axis=0) / counts[:, None].astype(np.float32)
        out["max"][rows] = np.maximum.reduceat(values, starts, axis=0)
        out["last"][rows] = values[starts + counts - 1]
    return out


def angle_concentration(
    hidden: "Float[torch.Tensor, 'tokens d_in']", row_of_token: Int[np.ndarray, " tokens"], n_rows: int
) -> Float[np.ndarray, " batch"]:
    """Return the mean cosine between the activations of two different tokens of each prompt, in [-1, 1].

    With unit vectors u_t of T tokens: (|sum u_t|^2 - T) / (T (T - 1)); 0 for a prompt of fewer than two tokens.
    Source: the angle concentration of GAIN-RL, arXiv 2506.02281.
    """
    values = hidden.cpu().numpy().astype(np.float64)
    found = np.zeros(n_rows)
    if len(values):
        units = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        rows, starts, counts = np.unique(row_of_token, return_index=True, return_counts=True)
        squares = (np.add.reduceat(units, starts, axis=0) ** 2).sum(axis=1)
        found[rows] = np.where(counts > 1, (squares - counts) / np.maximum(counts * (counts - 1), 1), 0.0)
    return found


def _last_token(row_of_token: Int[np.ndarray, " tokens"], n_rows: int) -> Int[np.ndarray, " batch"]:
    last = np.full(n_rows, -1, dtype=np.int64)
    last[row_of_token] = np.arange(len(row_of_token))  # ascending: the last assignment stays
    return last


def _csr(rows: np.ndarray, latents: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    indptr = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=shape[0]), out=indptr[1:])
    return csr_matrix((values.astype(np.float32), latents.astype(np.int32), indptr), shape=shape)
