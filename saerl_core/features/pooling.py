"""From token codes to one row a prompt: mean, max and last in one pass."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
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
    import torch

    n_rows, d_sae = shape
    n_tokens = np.bincount(row_of_token, minlength=n_rows)
    row_of = torch.from_numpy(row_of_token).to(codes.token.device)
    cell = row_of[codes.token] * d_sae + codes.latent
    cell, order = cell.sort(stable=True)  # stable: a cell sums its tokens in reading order, whatever the batch
    cells, counts = torch.unique_consecutive(cell, return_counts=True)
    value = codes.value[order].float()
    out: dict[Pooling, csr_matrix] = {}
    rows, latents = np.divmod(cells.cpu().numpy(), d_sae)
    totals, highest = _reduced(value, counts, "sum"), _reduced(value, counts, "max")
    out["mean"] = _csr(rows, latents, totals / n_tokens[rows].astype(np.float32), shape)
    out["max"] = _csr(rows, latents, highest, shape)
    ends = torch.from_numpy(_is_last(row_of_token)).to(codes.token.device)
    last = ends[codes.token].nonzero()[:, 0]
    token, latent, at_end = (part[last].cpu().numpy() for part in (codes.token, codes.latent, codes.value))
    out["last"] = _csr(row_of_token[token], latent, at_end, shape)
    out["last"].sort_indices()
    return out


def pool_dense(
    hidden: "Float[torch.Tensor, 'tokens d_in']", row_of_token: Int[np.ndarray, " tokens"], n_rows: int
) -> dict[Pooling, Float[np.ndarray, "batch d_in"]]:
    """Pool activations themselves, for every pooling; a prompt without kept tokens has a row of zeros."""
    import torch

    out: dict[Pooling, Float[np.ndarray, "batch d_in"]] = {
        name: np.zeros((n_rows, hidden.shape[1]), dtype=np.float32) for name in POOLINGS
    }
    if len(hidden):
        rows, starts, counts = np.unique(row_of_token, return_index=True, return_counts=True)
        out["mean"][rows] = _reduced(hidden, torch.from_numpy(counts), "sum") / counts[:, None].astype(np.float32)
        out["max"][rows] = _reduced(hidden, torch.from_numpy(counts), "max")
        out["last"][rows] = hidden[starts + counts - 1].cpu().numpy()
    return out


def angle_concentration(
    hidden: "Float[torch.Tensor, 'tokens d_in']", row_of_token: Int[np.ndarray, " tokens"], n_rows: int
) -> Float[np.ndarray, " batch"]:
    """Return the mean cosine between the activations of two different tokens of each prompt, in [-1, 1].

    With unit vectors u_t of T tokens: (|sum u_t|^2 - T) / (T (T - 1)); 0 for a prompt of fewer than two tokens.
    Source: the angle concentration of GAIN-RL, arXiv 2506.02281.
    """
    import torch

    found = np.zeros(n_rows)
    if len(hidden):
        values = hidden.double()
        units = values / values.norm(dim=1, keepdim=True).clamp(min=1e-12)
        rows, counts = np.unique(row_of_token, return_counts=True)
        squares = (_reduced(units, torch.from_numpy(counts), "sum") ** 2).sum(axis=1)
        found[rows] = np.where(counts > 1, (squares - counts) / np.maximum(counts * (counts - 1), 1), 0.0)
    return found


def _reduced(
    values: "Float[torch.Tensor, 'n ...']", counts: "Int[torch.Tensor, ' runs']", how: Literal["sum", "max"]
) -> Float[np.ndarray, "runs ..."]:
    """Reduce runs of rows that stand one after another, none of them empty, in a fixed order on every device."""
    import torch

    if not len(counts):
        return np.zeros((0, *values.shape[1:]), dtype=np.float32)
    return np.asarray(torch.segment_reduce(values, how, lengths=counts.to(values.device)).cpu())


def _is_last(row_of_token: Int[np.ndarray, " tokens"]) -> Bool[np.ndarray, " tokens"]:
    """Return which tokens are the last kept ones of their prompts."""
    return np.append(row_of_token[1:] != row_of_token[:-1], len(row_of_token) > 0)[: len(row_of_token)]


def _csr(rows: np.ndarray, latents: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    indptr = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=shape[0]), out=indptr[1:])
    return csr_matrix((values.astype(np.float32), latents.astype(np.int32), indptr), shape=shape)
