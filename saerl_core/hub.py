"""Whether a run needs the Hugging Face Hub: offline is the default, a configuration that names a Hub model lifts it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from saerl_core.config.run import RunConfig
from saerl_core.environment import OFFLINE_BY_DEFAULT

_ON_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?(?<!\.gguf)", re.IGNORECASE)


@dataclass(frozen=True)
class NamedSae:
    """An SAE that is loaded, as a configuration names it."""

    setting: str
    path: str
    sae_id: str | None


def named_models(config: RunConfig) -> dict[str, str]:
    """Return the models that a configuration names, each under its setting; those of a comparison's arms too."""
    found = {"sae.model": config.sae.model}
    if config.policy.source == "pretrained":
        found["policy.model"] = config.policy.model
    found |= {f"compare.arms '{arm.name}': sae.model": arm.sae.get("model") for arm in config.compare.arms}
    return {setting: str(model) for setting, model in found.items() if model is not None}


def named_saes(config: RunConfig) -> list[NamedSae]:
    """Return the SAEs that a configuration loads: folders, or releases on the Hub; those of arms too."""
    given = [("sae.path", config.sae.path, config.sae.sae_id)] if config.sae.source == "load" else []
    for arm in config.compare.arms:
        setting, sae_id = f"compare.arms '{arm.name}': sae.path", arm.sae.get("sae_id", config.sae.sae_id)
        given.append((setting, arm.sae.get("path"), sae_id))
    return [NamedSae(setting, str(path), sae_id) for setting, path, sae_id in given if path is not None]


def is_place_here(name: str) -> bool:
    """Return whether a name means a file or a folder of this machine: one is there, or the Hub has no such names."""
    return Path(name).expanduser().exists() or name.startswith((".", "/", "~")) or not _ON_HUB.fullmatch(name)


def hub_names(config: RunConfig) -> list[str]:
    """Return the models, data sets and SAE releases of a configuration that are not local folders."""
    named = [*named_models(config).values(), *(sae.path for sae in named_saes(config))]
    if config.prompts.source == "hub" and config.prompts.dataset is not None:
        named.append(config.prompts.dataset)
    if config.evaluation.enabled:
        named += [benchmark.dataset for benchmark in config.evaluation.benchmarks if benchmark.dataset is not None]
    return [name for name in named if not is_place_here(name)]


def allow_hub(config: RunConfig) -> None:
    """Lift our offline default where the configuration names something on the Hub; a user's own setting stays.

    Must run before the Hugging Face libraries are imported: they read the variable once.
    """
    if hub_names(config) and os.environ.get(OFFLINE_BY_DEFAULT):
        os.environ["HF_HUB_OFFLINE"] = "0"
