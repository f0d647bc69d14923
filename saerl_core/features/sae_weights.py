"""The weights of an SAE, checked when they are loaded: complete, of shapes that fit, finite."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from saerl_core.errors import ConfigError
from saerl_core.features.sae_config import LensConfig

if TYPE_CHECKING:
    import torch


def check_finite(weights: "Mapping[str, torch.Tensor]", path: Path) -> None:
    """Raise `ConfigError` naming the first weight, by name, that holds NaN or an infinite value."""
    for name in sorted(weights):
        tensor = weights[name]
        if not tensor.is_floating_point() or bool(tensor.isfinite().all()):
            continue
        n_bad = int((~tensor.isfinite()).sum())
        what = "NaN" if bool(tensor.isnan().any()) else "infinite values"
        raise ConfigError(
            f"weight {name} holds {what} ({n_bad:,} of {tensor.numel():,} numbers are not finite) in '{path}'; "
            "the SAE is broken: choose another, or where it was trained here lower sae.lr"
        )


def check_weights(weights: "Mapping[str, torch.Tensor]", config: LensConfig, path: Path) -> None:
    """Raise `ConfigError` where weights of a linear SAE are missing, misfit each other or cfg.json, or hold NaN."""
    is_jump = config["architecture"] == "jumprelu"
    need = {"W_enc", "b_enc", "W_dec", "b_dec"} | ({"threshold"} if is_jump else set())
    if not need <= set(weights):
        raise ConfigError(f"'{path}' lacks {sorted(need - set(weights))}; save the SAE again")
    check_finite({name: weights[name] for name in need}, path)
    if weights["W_enc"].ndim != 2:
        raise ConfigError(f"weight W_enc in '{path}' has shape {_shape(weights['W_enc'])}, but must be d_in x d_sae")
    d_in, d_sae = (int(n) for n in weights["W_enc"].shape)
    fits = {"b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)} | ({"threshold": (d_sae,)} if is_jump else {})
    for name, shape in fits.items():
        if tuple(weights[name].shape) != shape:
            raise ConfigError(
                f"weight {name} in '{path}' has shape {_shape(weights[name])}, but W_enc is {d_in} x {d_sae}, which "
                f"needs {' x '.join(map(str, shape))}; save the SAE again"
            )
    for name, found in (("d_in", d_in), ("d_sae", d_sae)):
        if config.get(name) is not None and int(config[name]) != found:
            raise ConfigError(
                f"cfg.json says {name} {config[name]}, but W_enc in '{path}' is {d_in} x {d_sae}; the two files are "
                "not of one SAE: copy both again"
            )
    if config["architecture"] == "topk" and int(config["k"]) > d_sae:
        raise ConfigError(f"cfg.json says k {config['k']}, but the SAE in '{path}' has only {d_sae} latents")


def _shape(tensor: "torch.Tensor") -> str:
    return " x ".join(str(n) for n in tensor.shape) or "of a single number"
