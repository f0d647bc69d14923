"""Load a policy's model and tokenizer; say in one sentence what is wrong with a folder that cannot be loaded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from saerl_core.errors import ConfigError, DataError, SaerlError
from saerl_core.records import PolicyRef

if TYPE_CHECKING:
    from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

T = TypeVar("T")


def load_model(ref: PolicyRef, *, device: str = "cpu") -> "PreTrainedModel":
    """Load the causal LM in evaluation mode: float32 on the CPU, the checkpoint's own precision elsewhere.

    `DataError` for a folder that is missing, broken or lacks weights; `ConfigError` for a Hub name that cannot be had.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with _explained(ref), quiet_loading():
        model, info = AutoModelForCausalLM.from_pretrained(
            ref.path,
            dtype=torch.float32 if device == "cpu" else "auto",
            trust_remote_code=ref.trust_remote_code,
            use_safetensors=True,  # the other format is a pickle
            output_loading_info=True,
        )
    # The library fills what a checkpoint lacks with random numbers and goes on.
    if absent := sorted(info["missing_keys"]):
        raise DataError(
            f"the weights of '{ref.path}' lack {len(absent)} tensors, e.g. {absent[0]}; "
            "give the checkpoint of a complete causal LM"
        )
    return model.to(device).eval()


def load_tokenizer(ref: PolicyRef) -> "PreTrainedTokenizerBase":
    """Load the tokenizer; it pads on the left, with the end token where it has no padding token.

    Use it instead of `AutoTokenizer`, which puts the splitting rules of Qwen2 (and no BOS) in place of those that a
    local folder of model type qwen2 was saved with: the task world's tokenizer would lose its blanks.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    with _explained(ref), quiet_loading():
        described = get_tokenizer_config(ref.path) if ref.is_local else {}
        as_saved = described.get("tokenizer_class") in ("TokenizersBackend", "PreTrainedTokenizerFast")
        kind = PreTrainedTokenizerFast if as_saved else AutoTokenizer
        tokenizer = kind.from_pretrained(ref.path, trust_remote_code=ref.trust_remote_code, padding_side="left")
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise DataError(f"the tokenizer of '{ref.path}' has neither a padding nor an end token; add one to it")
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def read_config(ref: PolicyRef, read: "Callable[[PretrainedConfig], T]") -> T:
    """Read something of the model's configuration, without its weights."""
    from transformers import AutoConfig

    with _explained(ref), quiet_loading():
        return read(AutoConfig.from_pretrained(ref.path, trust_remote_code=ref.trust_remote_code))


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Hide the library's own bars while a checkpoint is read or written; errors and warnings stay."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _explained(ref: PolicyRef) -> Iterator[None]:
    """Turn the libraries' errors into ours; a folder is checked before anything is asked of them."""
    from safetensors import SafetensorError

    if ref.is_local and not (Path(ref.path) / "config.json").is_file():
        raise DataError(f"'{ref.path}' is no policy: it holds no config.json; give a Hugging Face model folder")
    try:
        yield
    except SaerlError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise loading_error(ref.path, ref.is_local, error) from error


def loading_error(name: str, is_local: bool, error: Exception) -> SaerlError:
    """Return the error to raise for a model that could not be loaded, with the way out."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    if "trust_remote_code" in str(error):
        return ConfigError(
            f"'{name}' needs its own Python code; set policy.trust_remote_code to true if you trust its authors"
        )
    if is_local:
        return DataError(f"the model in '{name}' cannot be loaded ({first}); give a complete Hugging Face model folder")
    return ConfigError(
        f"the model '{name}' cannot be fetched ({first}); unset HF_HUB_OFFLINE, or download it and give the folder"
    )


def count_parameters(ref: PolicyRef) -> int:
    """Return the number of parameters, from the configuration alone: no weight is read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with _explained(ref), quiet_loading(), torch.device("meta"):
        config = AutoConfig.from_pretrained(ref.path, trust_remote_code=ref.trust_remote_code)
        return int(AutoModelForCausalLM.from_config(config, trust_remote_code=ref.trust_remote_code).num_parameters())


def generation_settings(ref: PolicyRef) -> "GenerationConfig":
    """Return the generation settings that the model would have once loaded: its own file, else its configuration's."""
    from transformers import AutoConfig, GenerationConfig

    with _explained(ref), quiet_loading():
        try:
            return GenerationConfig.from_pretrained(ref.path)
        except OSError:
            config = AutoConfig.from_pretrained(ref.path, trust_remote_code=ref.trust_remote_code)
            return GenerationConfig.from_model_config(config)


def stop_tokens(settings: "GenerationConfig | None", tokenizer: object) -> frozenset[int]:
    """Return every token that ends a completion, by the tokenizer and by the model's generation settings."""
    found = {getattr(tokenizer, "eos_token_id", None)}
    own = getattr(settings, "eos_token_id", None)
    found.update(own if isinstance(own, (list, tuple)) else [own])
    return frozenset(int(t) for t in found if t is not None)
