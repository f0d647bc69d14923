"""Whether a run needs the Hugging Face Hub: offline is the default, a configuration that names a Hub model lifts it."""

import os
from pathlib import Path

from saerl_core.config.run import RunConfig
from saerl_core.environment import OFFLINE_BY_DEFAULT


def hub_names(config: RunConfig) -> list[str]:
    """Return the models, data sets and SAE releases of a configuration that are not local folders."""
    named = [config.sae.model]
    if config.prompts.source == "hub":
        named.append(config.prompts.dataset)
    if config.evaluation.enabled:
        named += [benchmark.dataset for benchmark in config.evaluation.benchmarks]
    if config.policy.source == "pretrained":
        named.append(config.policy.model)
    if config.sae.source == "load":
        named.append(config.sae.path)
    for arm in config.compare.arms:
        named += [arm.sae.get("model"), arm.sae.get("path")]
    return [name for name in named if name is not None and not Path(name).exists()]


def allow_hub(config: RunConfig) -> None:
    """Lift our offline default where the configuration names something on the Hub; a user's own setting stays.

    Must run before the Hugging Face libraries are imported: they read the variable once.
    """
    if hub_names(config) and os.environ.get(OFFLINE_BY_DEFAULT):
        os.environ["HF_HUB_OFFLINE"] = "0"
