"""What can be said of the models that a configuration names before anything starts; no weights are read."""

import os
from pathlib import Path

from saerl_core.config.run import RunConfig
from saerl_core.environment import OFFLINE_BY_DEFAULT
from saerl_core.errors import ConfigError
from saerl_core.hub import is_place_here, named_models
from saerl_core.policy.fetching import missing_model
from saerl_core.policy.gguf_files import check_readable, find_gguf, is_rounded, quantisation_of


def check_models(config: RunConfig) -> None:
    """Refuse models that were not fetched yet or that nothing can read, and training on rounded weights unasked.

    `ConfigError` for these; `DataError` for a GGUF file that cannot be read.
    """
    models = named_models(config)
    for setting, model in models.items():
        missing = missing_model(model)
        if missing is not None:
            raise ConfigError(f"{setting}: {missing}")
        check_readable(model)
    policy = models.get("policy.model")
    if policy is None or not config.training.enabled or config.policy.train_dequantised:
        return
    quantisation = quantisation_of(policy)
    if quantisation is not None and is_rounded(quantisation):
        raise ConfigError(
            f"policy.model is '{policy}', whose weights were quantised as {quantisation}, and training.enabled is "
            "true: training would start from rounded weights; set policy.train_dequantised to true to do so, or "
            "training.enabled to false"
        )


def check_folders(config: RunConfig) -> None:
    """Refuse a model that is not on this machine and cannot be fetched; `ConfigError` with the setting's name."""
    for setting, model in named_models(config).items():
        folder = Path(model).expanduser()
        if not is_place_here(model):
            _check_cache(setting, model)
            continue
        if find_gguf(model) is not None:
            continue
        if not folder.exists():
            raise ConfigError(
                f"{setting} is '{model}', but there is no such file or folder (relative paths start at {Path.cwd()}); "
                "give a Hugging Face model folder, a GGUF file or a name on the Hub"
            )
        if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
            raise ConfigError(
                f"{setting} is '{model}', which holds no model: a Hugging Face model folder has config.json and "
                "*.safetensors; give one, a GGUF file or a name on the Hub"
            )


def _check_cache(setting: str, model: str) -> None:
    """Refuse a name on the Hub that was not fetched before, where a person has forbidden to fetch anything."""
    if OFFLINE_BY_DEFAULT in os.environ:  # lifted for a name on the Hub
        return
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import ENV_VARS_TRUE_VALUES

    if os.environ.get("HF_HUB_OFFLINE", "").upper() not in ENV_VARS_TRUE_VALUES:
        return
    if not isinstance(try_to_load_from_cache(model, "config.json"), str):
        raise ConfigError(
            f"{setting} is '{model}', which is no folder here and not in the cache of Hugging Face, and HF_HUB_OFFLINE "
            "forbids to fetch it; set HF_HUB_OFFLINE=0, or give a folder"
        )
