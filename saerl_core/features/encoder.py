"""Sparse codes of token activations: TopK, standard and JumpReLU SAEs are read without importing sae-lens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float, Int

from saerl_core.errors import ConfigError
from saerl_core.features.sae_config import WEIGHTS_NAME, LensConfig, read_sae_config, reads_itself
from saerl_core.features.sae_lens_import import quiet_sae_lens
from saerl_core.features.sae_weights import check_finite, check_weights
from saerl_core.seeds import stage_rng

if TYPE_CHECKING:
    import torch

_CHUNK_FLOATS, _CHUNK_FLOATS_GPU = 2**23, 2**26  # pre-activations held at once: 32 and 256 MiB


@dataclass(frozen=True)
class TokenCodes:
    """Active latents of a run of tokens in coordinate form, on the encoder's device; every value is > 0."""

    token: "Int[torch.Tensor, ' nnz']"
    latent: "Int[torch.Tensor, ' nnz']"
    value: "Float[torch.Tensor, ' nnz']"


class Encoder(Protocol):
    """What features need of an SAE."""

    @property
    def d_in(self) -> int:
        """Width of what it reads."""
        ...

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        ...

    @property
    def k(self) -> int | None:
        """Active latents a token where that number is fixed."""
        ...

    def encode(self, x: "Float[torch.Tensor, 'tokens d_in']") -> "Float[torch.Tensor, 'tokens d_sae']":
        """Return the latent activations."""
        ...

    def decode(self, z: "Float[torch.Tensor, 'tokens d_sae']") -> "Float[torch.Tensor, 'tokens d_in']":
        """Return the reconstruction."""
        ...


@dataclass(frozen=True)
class LinearEncoder:
    """An SAE of one linear map: f(x) = act((x - b_dec) W_enc + b_enc).

    act is TopK then ReLU (`k` set; Gao et al. 2406.04093), z * (z > threshold) (JumpReLU, 2407.14435), or ReLU.
    """

    w_enc: "Float[torch.Tensor, 'd_in d_sae']"
    b_enc: "Float[torch.Tensor, ' d_sae']"
    w_dec: "Float[torch.Tensor, 'd_sae d_in']"
    b_dec: "Float[torch.Tensor, ' d_in']"
    d_in: int
    d_sae: int
    k: int | None = None
    threshold: "Float[torch.Tensor, ' d_sae'] | None" = None
    centre: bool = True  # subtract b_dec from the input

    def encode(self, x: "Float[torch.Tensor, 'tokens d_in']") -> "Float[torch.Tensor, 'tokens d_sae']":
        """Return the latent activations, dense."""
        import torch

        if self.k is not None:
            values, latents = self.top(x, self.k)
            return torch.zeros(len(x), self.d_sae, device=x.device).scatter_(-1, latents, values)
        pre = self._pre(x)
        return pre.relu() if self.threshold is None else (pre * (pre > self.threshold)).relu()

    def top(self, x: "Float[torch.Tensor, 'tokens d_in']", k: int) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return values (ReLU applied) and latents (tokens x k each) of the k largest pre-activations, in no order."""
        top = self._pre(x).topk(k, dim=-1, sorted=False)
        return top.values.relu(), top.indices

    def _pre(self, x: "Float[torch.Tensor, 'tokens d_in']") -> "Float[torch.Tensor, 'tokens d_sae']":
        return (x - self.b_dec if self.centre else x) @ self.w_enc + self.b_enc

    def decode(self, z: "Float[torch.Tensor, 'tokens d_sae']") -> "Float[torch.Tensor, 'tokens d_in']":
        """Return z W_dec + b_dec."""
        return z @ self.w_dec + self.b_dec


@dataclass(frozen=True)
class LensEncoder:
    """Any other architecture, through sae-lens' own object."""

    sae: Any
    d_in: int
    d_sae: int
    k: int | None = None

    def encode(self, x: "Float[torch.Tensor, 'tokens d_in']") -> "Float[torch.Tensor, 'tokens d_sae']":
        """Return sae-lens' encoding."""
        z: torch.Tensor = self.sae.encode(x).float()
        return z

    def decode(self, z: "Float[torch.Tensor, 'tokens d_sae']") -> "Float[torch.Tensor, 'tokens d_in']":
        """Return sae-lens' decoding."""
        x: torch.Tensor = self.sae.decode(z).float()
        return x


def chunks(x: "Float[torch.Tensor, 'tokens d_in']", d_sae: int) -> "Iterator[tuple[int, torch.Tensor]]":
    """Yield (first token, tokens) so that a dense encoding of each piece stays near 32 MiB, on a GPU near 256 MiB."""
    size = max(1, (_CHUNK_FLOATS_GPU if x.is_cuda else _CHUNK_FLOATS) // d_sae)
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def encode_codes(encoder: Encoder, x: "Float[torch.Tensor, 'tokens d_in']") -> TokenCodes:
    """Encode tokens piece by piece and keep what is active, ordered by token; a TopK code is never made dense."""
    import torch

    found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    with torch.inference_mode():
        for start, piece in chunks(x, encoder.d_sae):
            if isinstance(encoder, LinearEncoder) and encoder.k is not None:
                values, latents = encoder.top(piece, encoder.k)
                token, slot = values.nonzero(as_tuple=True)
                latent, value = latents[token, slot], values[token, slot]
            else:
                z = encoder.encode(piece)
                token, latent = z.nonzero(as_tuple=True)
                value = z[token, latent]
            found.append((token + start, latent, value))
    if not found:
        empty = torch.zeros(0, dtype=torch.int64, device=x.device)
        return TokenCodes(empty, empty, x.new_zeros(0))
    return TokenCodes(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def open_encoder(folder: Path, device: str = "cpu") -> Encoder:
    """Open the SAE of a folder in float32: by itself where it is one linear map, else with sae-lens.

    Raises `ConfigError` for a configuration or weights that cannot be read, that do not fit each other, or that are
    not finite.
    """
    config = read_sae_config(folder)
    if reads_itself(config):
        return _read_linear(folder, config, device)
    with quiet_sae_lens() as sae_lens:
        sae = sae_lens.SAE.load_from_disk(folder, device=device, dtype="float32")
    check_finite(sae.state_dict(), folder / WEIGHTS_NAME)
    return LensEncoder(sae, int(sae.cfg.d_in), int(sae.cfg.d_sae))


def _read_linear(folder: Path, config: LensConfig, device: str) -> LinearEncoder:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        raw = load_file(folder / WEIGHTS_NAME, device=device)
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"'{folder / WEIGHTS_NAME}' cannot be read: {error}; copy or save the SAE again") from error
    weights = {name: tensor.float() for name, tensor in raw.items()}
    check_weights(weights, config, folder / WEIGHTS_NAME)
    w_enc, b_enc, w_dec = weights["W_enc"], weights["b_enc"], weights["W_dec"]
    if config.get("rescale_acts_by_decoder_norm"):
        norm = w_dec.norm(dim=-1)  # selection and decoding use pre * norm: fold it into the weights
        w_enc, b_enc = w_enc * norm, b_enc * norm
        w_dec = w_dec / norm.clamp(min=1e-30)[:, None]  # a latent that is switched off has a row of zeros
    d_in, d_sae = (int(n) for n in w_enc.shape)
    return LinearEncoder(
        w_enc,
        b_enc,
        w_dec,
        weights["b_dec"],
        d_in,
        d_sae,
        k=int(config["k"]) if config["architecture"] == "topk" else None,
        threshold=weights.get("threshold"),
        centre=bool(config.get("apply_b_dec_to_input", True)),
    )


def random_encoder(like: Encoder, b_dec: "torch.Tensor | None", k: int, seed: int, device: str) -> LinearEncoder:
    """Build the frozen random control: a TopK SAE of the same width and k whose directions nobody trained.

    Decoder rows are uniform on the unit sphere (stream `random_sae`), the encoder is the decoder transposed, and the
    input is centred with the trained SAE's b_dec where it has one, so that only the directions differ.
    """
    import torch

    rows = stage_rng(seed, "random_sae").standard_normal((like.d_sae, like.d_in)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    w_dec = torch.from_numpy(rows).to(device)
    zeros = torch.zeros(like.d_sae, device=device)
    centre = torch.zeros(like.d_in, device=device) if b_dec is None else b_dec
    return LinearEncoder(w_dec.T.contiguous(), zeros, w_dec, centre, like.d_in, like.d_sae, k=k)
