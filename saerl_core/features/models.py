"""The lower part of a language model: everything up to the block that the SAE reads, nothing above it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from saerl_core.errors import ConfigError
from saerl_core.policy.context import context_tokens
from saerl_core.policy.gguf_files import local_folder
from saerl_core.policy.loading import loading_error
from saerl_core.records import PolicyRef

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

_FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")


@dataclass(frozen=True)
class ModelShape:
    """What must be known of a model before its weights are read."""

    n_layers: int
    d_in: int  # width of the residual stream
    context_tokens: int | None = None  # positions that it has; None: no bound is known


@dataclass(frozen=True)
class LowerModel:
    """A model cut after block `hook_layer`: its output is the residual stream there."""

    module: "torch.nn.Module"
    hook_layer: int
    d_in: int
    device: str


def resolve_model(model: str | None, policy: PolicyRef) -> PolicyRef:
    """Return the model that features come from: the SAE's own where it has one, else the policy."""
    if model is None:
        return policy
    folder = Path(local_folder(model)).expanduser()  # of a GGUF file the folder that it is converted to
    is_local = folder.is_dir()
    return PolicyRef(path=str(folder) if is_local else model, policy_id=model, is_local=is_local)


def resolve_device(device: Literal["auto", "cpu", "cuda"]) -> str:
    """Return the torch device of a setting; `ConfigError` when CUDA is asked for and there is none."""
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError("features.device is 'cuda', but torch sees no CUDA device; set it to 'auto' or 'cpu'")
    return "cuda" if available and device != "cpu" else "cpu"


def read_shape(ref: PolicyRef) -> ModelShape:
    """Read the number of blocks and the width from the model's config, without its weights."""
    return _shape_of(_read_config(ref))


def _shape_of(config: "PretrainedConfig") -> ModelShape:
    return ModelShape(int(config.num_hidden_layers), int(config.hidden_size), context_tokens(config))


def resolve_layer(hook_layer: int | None, shape: ModelShape, model: str) -> int:
    """Return the block index: the middle block (n_layers // 2) for None; `ConfigError` when there is no such block."""
    layer = shape.n_layers // 2 if hook_layer is None else hook_layer
    if layer >= shape.n_layers:
        raise ConfigError(
            f"the hook layer is {layer}, but model '{model}' has {shape.n_layers} blocks, 0 to {shape.n_layers - 1}; "
            f"set sae.hook_layer to one of them, or leave it out for the middle block"
        )
    return layer


def load_lower_model(ref: PolicyRef, hook_layer: int, device: str = "cpu") -> LowerModel:
    """Load the blocks 0 to `hook_layer` and replace the final norm by the identity.

    The output then is the residual stream after that block, exactly as a hook on it would see it, also for the last
    block, where `hidden_states[-1]` is already normed. The upper blocks are never read. float32 on CPU (bfloat16 is
    several times slower there), the checkpoint's own type on a GPU.
    """
    import torch
    from transformers import AutoModel

    config = _read_config(ref)
    shape = _shape_of(config)
    resolve_layer(hook_layer, shape, ref.policy_id)
    config.num_hidden_layers = hook_layer + 1
    if getattr(config, "layer_types", None):
        config.layer_types = list(config.layer_types)[: hook_layer + 1]
    dtype = torch.float32 if device == "cpu" else "auto"
    with _readable(ref), quiet_transformers():
        module, info = AutoModel.from_pretrained(
            ref.path,
            config=config,
            dtype=dtype,
            trust_remote_code=ref.trust_remote_code,
            use_safetensors=True,  # the other format is a pickle
            output_loading_info=True,
        )
    if absent := sorted(info["missing_keys"]):  # the library fills what a checkpoint lacks with random numbers
        raise ConfigError(
            f"the weights of model '{ref.path}' lack {len(absent)} tensors, e.g. {absent[0]}; "
            f"give a complete checkpoint"
        )
    name = next((n for n in _FINAL_NORMS if hasattr(module, n)), None)
    if name is None:
        raise ConfigError(
            f"model '{ref.policy_id}' ({type(module).__name__}) has no final norm under the names {_FINAL_NORMS}; "
            f"features can be read from decoder-only models that have one"
        )
    setattr(module, name, torch.nn.Identity())
    return LowerModel(module.eval().requires_grad_(False).to(device), hook_layer, shape.d_in, device)


def _read_config(ref: PolicyRef) -> "PretrainedConfig":
    from transformers import AutoConfig

    with _readable(ref):
        return AutoConfig.from_pretrained(ref.path, trust_remote_code=ref.trust_remote_code)


@contextlib.contextmanager
def _readable(ref: PolicyRef) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        if "trust_remote_code" in str(error):
            raise loading_error(ref.path, ref.is_local, error) from error
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"model '{ref.path}' cannot be read: {first} Give a folder in Hugging Face format; for a Hub name that is "
            f"not in the local cache set HF_HUB_OFFLINE=0"
        ) from error


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the load report (upper blocks and the head are left out on purpose) and the weight-loading bar."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
