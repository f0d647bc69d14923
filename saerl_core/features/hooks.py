"""Hook names: every spelling of "the residual stream after block N" becomes N."""

import re

from saerl_core.errors import ConfigError
from saerl_core.features.sae_config import LensConfig

_POST = re.compile(r"blocks\.(\d+)\.hook_resid_post")
_PRE = re.compile(r"blocks\.(\d+)\.hook_resid_pre")
_MODULE = re.compile(r"(?:(?:model|transformer|gpt_neox|language_model)\.)*(?:layers|h|blocks)\.(\d+)")


def hook_layer_of(hook_name: str) -> int:
    """Return the block whose output a hook reads.

    Understood are `blocks.N.hook_resid_post`, `blocks.N.hook_resid_pre` (the output of block N - 1) and the module
    itself, as in `model.layers.N` or `transformer.h.N`. Raises `ConfigError` for anything else: attention and MLP
    outputs, normed streams and the embedding are other vectors than the residual stream.
    """
    for pattern, shift in ((_POST, 0), (_MODULE, 0), (_PRE, -1)):
        match = pattern.fullmatch(hook_name)
        if match and int(match.group(1)) + shift >= 0:
            return int(match.group(1)) + shift
    raise ConfigError(
        f"the SAE reads '{hook_name}', but features are taken from the residual stream after a block; attention, "
        f"MLP and embedding hooks see other vectors; choose an SAE of 'blocks.N.hook_resid_post' or 'model.layers.N'"
    )


def hook_layer_from(config: LensConfig, wanted: int | None, sae: str) -> int:
    """Return the block that an SAE's cfg.json names (`hook_name`, else `hf_hook_name`), checked against the setting.

    Raises `ConfigError` when the SAE names no hook and none is set, when the two differ, and for a transcoder, which
    predicts another place than it reads.
    """
    metadata = {**config, **(config.get("metadata") or {})}
    name = metadata.get("hook_name") or metadata.get("hf_hook_name")
    target = metadata.get("hook_name_out")
    if target and target != name:
        raise ConfigError(f"{sae} is a transcoder from '{name}' to '{target}'; choose an SAE of the residual stream")
    if not name:
        if wanted is None:
            raise ConfigError(f"{sae} does not say which block it reads; set sae.hook_layer")
        return wanted
    layer = hook_layer_of(str(name))
    if wanted is not None and wanted != layer:
        raise ConfigError(
            f"sae.hook_layer is {wanted}, but {sae} reads '{name}', block {layer}; set sae.hook_layer to {layer} or "
            f"leave it out"
        )
    return layer
