"""Residual-stream activations, batch by batch: kept tokens only, never the whole pool."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from saerl_core.errors import DataError
from saerl_core.features.models import LowerModel
from saerl_core.features.tokens import TokenizedPrompts

if TYPE_CHECKING:
    import torch

SINK_RATIO = 10.0  # a token whose norm is above this many medians of its prompt is an attention sink


@dataclass(frozen=True)
class ActivationBatch:
    """The kept tokens of a batch of prompts, prompt after prompt, in reading order."""

    rows: Int[np.ndarray, " batch"]  # positions of the prompts in the tokenised pool
    row_of_token: Int[np.ndarray, " tokens"]  # 0 .. batch-1, ascending
    hidden: "Float[torch.Tensor, 'tokens d_in']"  # float32
    n_prefill_tokens: int  # without padding
    n_dropped: int  # prefix and sinks
    position_of_token: Int[np.ndarray, " tokens"]  # place in its prompt, prefix included


def stream_activations(
    model: LowerModel, tokens: TokenizedPrompts, batches: Iterable[Int[np.ndarray, " _"]]
) -> Iterator[ActivationBatch]:
    """Run the lower model over batches of prompts and yield the kept tokens of each.

    Dropped are padding, the tokens that the tokenizer added in front, and attention sinks: tokens whose norm is
    above 10 x the (lower) median norm of their own prompt, so that a prompt's result never depends on its
    neighbours. Raises `DataError` naming the first prompt of a batch whose activations are not finite.
    """
    for rows in batches:
        yield _run(model, tokens, rows)


def _run(model: LowerModel, tokens: TokenizedPrompts, rows: Int[np.ndarray, " batch"]) -> ActivationBatch:
    import torch

    ids, mask = _pad(tokens, rows)
    with torch.inference_mode():
        out = model.module(
            input_ids=torch.from_numpy(ids).to(model.device),
            attention_mask=torch.from_numpy(mask).to(model.device),
            use_cache=False,
        )
        hidden = out.last_hidden_state.float()
        real = torch.from_numpy(mask.astype(bool)).to(model.device)
        _check_finite(hidden, real, tokens, rows)
        keep = _keep(hidden, real, tokens.n_prefix)
        kept = hidden[keep]
    row_of_token, position_of_token = np.nonzero(keep.cpu().numpy())
    n_real = int(mask.sum())
    return ActivationBatch(rows, row_of_token, kept, n_real, n_real - len(row_of_token), position_of_token)


def _pad(
    tokens: TokenizedPrompts, rows: Int[np.ndarray, " batch"]
) -> tuple[Int[np.ndarray, "batch seq"], Int[np.ndarray, "batch seq"]]:
    """Pad on the right: positions then need no correction, and causal attention never sees the padding."""
    longest = max(len(tokens.ids[i]) for i in rows)
    ids = np.zeros((len(rows), longest), dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for at, i in enumerate(rows):
        n = len(tokens.ids[i])
        ids[at, :n] = tokens.ids[i]
        mask[at, :n] = 1
    return ids, mask


def _check_finite(
    hidden: "torch.Tensor", real: "torch.Tensor", tokens: TokenizedPrompts, rows: Int[np.ndarray, " batch"]
) -> None:
    bad = (~hidden.isfinite().all(dim=2) & real).any(dim=1)
    if bool(bad.any()):
        first = int(rows[bad.cpu().numpy()].min())
        raise DataError(
            f"the model's activations for prompt '{tokens.prompt_ids[first]}' are NaN or infinite; "
            f"check the model's weights and number format, or take that prompt out of the pool"
        )


def _keep(hidden: "torch.Tensor", real: "torch.Tensor", n_prefix: int) -> "torch.Tensor":
    import torch

    content = real.clone()
    content[:, :n_prefix] = False
    norms = hidden.norm(dim=2)
    medians = torch.where(content, norms, torch.nan).nanmedian(dim=1, keepdim=True).values
    keep: torch.Tensor = content & ~(norms > SINK_RATIO * medians)
    return keep
