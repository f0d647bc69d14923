"""cfg.json of a sae-lens folder, read and checked before anything is asked of the weights."""

import json
import re
from pathlib import Path
from typing import Any

from saerl_core.errors import ConfigError

CFG_NAME, WEIGHTS_NAME = "cfg.json", "sae_weights.safetensors"
LensConfig = dict[str, Any]  # the format is sae-lens' own and differs by architecture and version
OWN_ARCHITECTURES = ("topk", "standard", "jumprelu")
_SWITCHES = ("apply_b_dec_to_input", "rescale_acts_by_decoder_norm")
_AGAIN = "save the SAE again with sae-lens"


def read_sae_config(folder: Path) -> LensConfig:
    """Read cfg.json of a sae-lens folder.

    Raises `ConfigError` when a file is missing, when cfg.json is no JSON object, and when a field that decides how the
    weights are used holds something else than it must.
    """
    missing = [n for n in (CFG_NAME, WEIGHTS_NAME) if not (folder / n).is_file()]
    if missing:
        raise ConfigError(f"SAE folder '{folder}' has no {' and no '.join(missing)}; give a folder that sae-lens saved")
    path = folder / CFG_NAME
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"'{path}' is not JSON: {error}; {_AGAIN}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"'{path}' holds {_shown(config)}, but must hold a JSON object; {_AGAIN}")
    for problem in _problems(config):
        raise ConfigError(f"'{path}': {problem}; correct it or {_AGAIN}")
    return config


def reads_itself(config: LensConfig) -> bool:
    """Tell whether the SAE is one linear map in sae-lens' format 6 that needs nothing at run time but its weights."""
    version = re.match(r"v?(\d+)", str((config.get("metadata") or {}).get("sae_lens_version") or "0"))
    return (
        config.get("architecture") in OWN_ARCHITECTURES
        and version is not None
        and int(version.group(1)) >= 6
        and (config.get("normalize_activations") or "none") in ("none", "expected_average_only_in")
        and (config.get("reshape_activations") or "none") == "none"
    )


def _problems(config: LensConfig) -> list[str]:
    """Return what is wrong with single fields, one half sentence each."""
    found = []
    metadata = config.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return [f"metadata is {_shown(metadata)}, but must be an object"]
    architecture = config.get("architecture")
    if architecture is not None and not isinstance(architecture, str):
        found.append(f"architecture is {_shown(architecture)}, but must be a name such as 'topk'")
    for name in ("d_in", "d_sae"):
        if config.get(name) is not None and not _is_count(config[name]):
            found.append(f"{name} is {_shown(config[name])}, but must be a whole number above 0")
    for name in _SWITCHES:
        if config.get(name) is not None and not isinstance(config[name], bool):
            found.append(f"{name} is {_shown(config[name])}, but must be true or false")
    if reads_itself(config) and architecture == "topk" and not _is_count(config.get("k")):
        found.append(f"k is {_shown(config.get('k'))}, but a topk SAE needs a whole number above 0")
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < 2**40 and value % 1 == 0


def _shown(value: object) -> str:
    return "missing" if value is None else json.dumps(value, ensure_ascii=False)[:60]
