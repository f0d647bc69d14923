"""Where each latent fires most: a bounded store of its largest activations, filled while features are extracted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from saerl_core.features.activations import ActivationBatch
from saerl_core.features.encoder import TokenCodes

if TYPE_CHECKING:
    import torch

N_PEAKS = 5  # prompts kept of each latent


@dataclass(frozen=True)
class Peaks:
    """Activations by latent, the largest first: at most `k` of a latent, each from another prompt."""

    latent: Int[np.ndarray, " m"]
    prompt: Int[np.ndarray, " m"]  # place in the tokenised pool
    position: Int[np.ndarray, " m"]  # of the token in its prompt, prefix included
    value: Float[np.ndarray, " m"]

    def take(self, rows: np.ndarray) -> "Peaks":
        """Return the given rows (places or a mask)."""
        return Peaks(self.latent[rows], self.prompt[rows], self.position[rows], self.value[rows])


_EMPTY = np.zeros(0, dtype=np.int64)
_NONE = Peaks(_EMPTY, _EMPTY, _EMPTY, np.zeros(0, dtype=np.float32))


class PeakStore:
    """Keeps the `k` largest activations of every latent, of one prompt at most one.

    Memory is bounded by 2 k d_sae entries and what one batch adds. Ties go to the smaller `prompt_id`, then to the
    earlier token, so that neither batches nor the order of the table decide; values count as equal where they agree in
    their first 12 bits, as the arithmetic of a batch depends on its shape: prompts that begin alike fire alike.
    """

    def __init__(self, prompt_ids: tuple[str, ...], d_sae: int, k: int = N_PEAKS) -> None:
        """Start with nothing kept."""
        self._rank = np.argsort(np.argsort(np.array(prompt_ids, dtype=object), kind="stable"), kind="stable")
        self._k = k
        self._room = k * d_sae
        self._floor = np.zeros(d_sae, dtype=np.float32)  # what an activation must reach: the k-th largest so far
        self._kept = _NONE
        self._waiting: list[Peaks] = []

    def add(self, codes: TokenCodes, batch: ActivationBatch) -> None:
        """Look at the active latents of a batch's tokens."""
        import torch

        value = _rounded(codes.value)
        floor = torch.from_numpy(self._floor).to(value.device)
        high = (value >= floor[codes.latent]).nonzero()[:, 0]  # on the device: most activations are below
        token, latent, large = (part[high].cpu().numpy() for part in (codes.token, codes.latent, value))
        found = Peaks(latent, batch.rows[batch.row_of_token[token]], batch.position_of_token[token], large)
        self._waiting.append(found)
        if sum(len(part.value) for part in self._waiting) >= self._room:
            self._settle()

    def join(self, peaks: Peaks) -> None:
        """Take in what another store kept of other prompts of the same pool."""
        self._waiting.append(peaks)
        self._settle()

    def peaks(self) -> Peaks:
        """Return what is kept."""
        self._settle()
        return self._kept

    def _settle(self) -> None:
        """Merge what waits into what is kept."""
        found = _joined([self._kept, *self._waiting])
        self._waiting = []
        order = np.lexsort((found.position, self._rank[found.prompt], -found.value, found.latent))
        found = found.take(order)
        pair = found.latent * np.int64(len(self._rank)) + found.prompt
        first = np.zeros(len(pair), dtype=bool)
        first[np.unique(pair, return_index=True)[1]] = True  # a prompt's largest activation, the earliest of equals
        found = found.take(first)
        place = np.arange(len(found.latent)) - np.searchsorted(found.latent, found.latent)
        self._kept = found.take(place < self._k)
        last = found.take(place == self._k - 1)
        self._floor[last.latent] = last.value


def _joined(parts: list[Peaks]) -> Peaks:
    columns = ([getattr(part, name) for part in parts] for name in ("latent", "prompt", "position", "value"))
    return Peaks(*(np.concatenate(column) for column in columns))


def _rounded(values: "Float[torch.Tensor, ' nnz']") -> "Float[torch.Tensor, ' nnz']":
    """Return positive float32 values with the last 12 of their 24 bits rounded away."""
    import torch

    bits = values.float().view(torch.int32)
    return ((bits + 0x800) & -0x1000).view(torch.float32)
