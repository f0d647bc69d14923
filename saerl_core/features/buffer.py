"""Shuffled token batches for SAE training, from a buffer of bounded size."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from saerl_core.errors import DataError
from saerl_core.features.activations import stream_activations
from saerl_core.features.models import LowerModel
from saerl_core.features.tokens import TokenizedPrompts, length_batches

if TYPE_CHECKING:
    import torch

BUFFER_BYTES = 256 * 2**20


def buffer_tokens(d_in: int) -> int:
    """Return how many activation vectors the buffer holds."""
    return max(1, BUFFER_BYTES // (4 * d_in))


def token_batches(
    model: LowerModel, tokens: TokenizedPrompts, batch_size: int, batch_tokens: int, rng: np.random.Generator
) -> "Iterator[torch.Tensor]":
    """Yield activation batches of exactly `batch_size` tokens without end.

    The buffer is filled from prompts in random order, shuffled, emptied and filled again. A pool that fits into it is
    run through the model once only and then shuffled anew on every pass. Raises `DataError` when no token is left.
    """
    import torch

    left = torch.empty(0, model.d_in)
    for chunk in _fillings(model, tokens, batch_tokens, rng):
        order = torch.from_numpy(rng.permutation(len(chunk)))
        start = 0
        if len(left):
            start = batch_size - len(left)
            left = torch.cat([left, chunk[order[:start]]])
            if len(left) < batch_size:
                continue
            yield left
        n_full = (len(order) - start) // batch_size
        for i in range(n_full):
            yield chunk[order[start + i * batch_size : start + (i + 1) * batch_size]]
        left = chunk[order[start + n_full * batch_size :]]


def _fillings(
    model: LowerModel, tokens: TokenizedPrompts, batch_tokens: int, rng: np.random.Generator
) -> "Iterator[torch.Tensor]":
    import torch

    batches = length_batches(tokens.run_lengths, batch_tokens)
    n_upper = int(np.maximum(tokens.lengths - tokens.n_prefix, 0).sum())
    buffer = torch.empty(min(buffer_tokens(model.d_in), n_upper), model.d_in)
    n_filled = 0
    n_seen = 0
    n_emitted = 0
    while True:
        for batch in stream_activations(model, tokens, (batches[i] for i in rng.permutation(len(batches)))):
            hidden = batch.hidden.cpu()
            n_seen += len(hidden)
            while len(hidden):
                take = min(len(hidden), len(buffer) - n_filled)
                buffer[n_filled : n_filled + take] = hidden[:take]
                n_filled += take
                hidden = hidden[take:]
                if n_filled == len(buffer) and n_upper > len(buffer):
                    yield buffer
                    n_emitted += 1
                    n_filled = 0
        if n_seen == 0:
            raise DataError("the pool's prompts have 0 tokens to train an SAE on; give prompts with text")
        if n_emitted == 0:
            break
    while True:  # the whole pool is in the buffer
        yield buffer[:n_filled]
