"""Is the SAE any good on this pool: active latents, explained variance, dead latents."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from saerl_core.errors import DataError
from saerl_core.features.activations import ActivationBatch
from saerl_core.features.encoder import Encoder, chunks

if TYPE_CHECKING:
    import torch


class _Sums:
    """Running sums in float64: one pass, whatever the number of tokens."""

    def __init__(self, d_in: int, d_sae: int) -> None:
        self.total = np.zeros(d_in)
        self.square = 0.0
        self.error = 0.0
        self.n_active = 0
        self.n_tokens = 0
        self.fired = np.zeros(d_sae, dtype=bool)

    def add(self, x: "torch.Tensor", z: "torch.Tensor", reconstruction: "torch.Tensor") -> None:
        self.total += x.double().sum(dim=0).cpu().numpy()
        self.square += float(x.double().square().sum())
        self.error += float((x - reconstruction).double().square().sum())
        self.n_active += int((z != 0).sum())
        self.n_tokens += len(x)
        self.fired |= (z != 0).any(dim=0).cpu().numpy()


def sae_health(encoder: Encoder, batches: Iterable[ActivationBatch]) -> dict[str, float]:
    """Measure an SAE on tokens, which should not be those it was trained on.

    l0 = active latents a token; explained_variance = 1 - sum |x - x'|^2 / sum |x - mean|^2; mse = mean of
    (x - x')^2 over tokens and dimensions; dead_frac = share of latents active on none of the tokens.
    Raises `DataError` when there is no token.
    """
    import torch

    sums = _Sums(encoder.d_in, encoder.d_sae)
    with torch.inference_mode():
        for batch in batches:
            for _, x in chunks(batch.hidden, encoder.d_sae):
                z = encoder.encode(x)
                sums.add(x, z, encoder.decode(z))
    if sums.n_tokens == 0:
        raise DataError("the prompts that the SAE is measured on have 0 tokens; it needs at least 1")
    variance = sums.square - float((sums.total**2).sum()) / sums.n_tokens
    return {
        "l0": sums.n_active / sums.n_tokens,
        "explained_variance": 1.0 - sums.error / variance if variance > 0 else float("nan"),
        "dead_frac": float(1.0 - sums.fired.mean()),
        "mse": sums.error / (sums.n_tokens * encoder.d_in),
        "n_eval_tokens": float(sums.n_tokens),
        "d_sae": float(encoder.d_sae),
    }
