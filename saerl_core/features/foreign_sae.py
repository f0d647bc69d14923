"""Loading an SAE that someone else trained: a sae-lens folder, or a public release by name."""

import shutil
from pathlib import Path

from saerl_core.config.run import SaeConfig
from saerl_core.errors import ConfigError
from saerl_core.features.sae_config import CFG_NAME, WEIGHTS_NAME, read_sae_config, reads_itself
from saerl_core.features.sae_lens_import import quiet_sae_lens
from saerl_core.hub import NamedSae, is_place_here

# what sae-lens raises on a configuration or weights that it does not expect
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, AssertionError, RuntimeError, OSError)


def fetch_sae(config: SaeConfig, folder: Path) -> str:
    """Bring the configured SAE into a folder in sae-lens' format 6 and return its name for messages.

    `sae.path` is a local folder, or the name of a release in sae-lens' registry or a Hub repository; the latter two
    need `sae.sae_id`. Raises `ConfigError` when it cannot be found, read or, offline, downloaded.
    """
    if not config.path:
        raise ConfigError("sae.source is 'load', but sae.path is empty; set it to a sae-lens folder or a release name")
    local = Path(config.path).expanduser()
    check_source(NamedSae("sae.path", config.path, config.sae_id))
    if local.is_dir():
        _copy_local(local, folder)
        return f"the SAE in '{config.path}'"
    assert config.sae_id is not None
    _download(config.path, config.sae_id, folder)
    return f"SAE '{config.sae_id}' of release '{config.path}'"


def check_source(sae: NamedSae) -> None:
    """Refuse an SAE that is no folder of sae-lens on this machine, and no release that sae-lens could look for."""
    folder = Path(sae.path).expanduser()
    if folder.is_dir():
        read_sae_config(folder)
    elif is_place_here(sae.path):
        raise ConfigError(
            f"{sae.setting} is '{sae.path}', but there is no such folder (relative paths start at {Path.cwd()}); give "
            "a folder that sae-lens saved, or a release name"
        )
    elif not sae.sae_id:
        raise ConfigError(
            f"{sae.setting} '{sae.path}' is no folder here, so it is taken as a public release, which needs "
            "sae.sae_id; set sae.sae_id, or correct the folder"
        )


def _copy_local(source: Path, folder: Path) -> None:
    from safetensors import SafetensorError

    if reads_itself(read_sae_config(source)):
        for name in (CFG_NAME, WEIGHTS_NAME):
            shutil.copyfile(source / name, folder / name)
        return
    try:
        with quiet_sae_lens() as sae_lens:
            sae_lens.SAE.load_from_disk(source, dtype="float32").save_model(folder)
    except (*_UNREADABLE, SafetensorError) as error:
        raise ConfigError(_cannot_read(source, error)) from error


def _cannot_read(source: Path, error: Exception) -> str:
    first = (str(error).strip() or "no reason given").splitlines()[0]
    return f"sae-lens cannot read the SAE in '{source}' ({type(error).__name__}: {first}); save it again with sae-lens"


def _download(release: str, sae_id: str, folder: Path) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with quiet_sae_lens() as sae_lens:
            sae_lens.SAE.from_pretrained(release, sae_id, dtype="float32").save_model(folder)
    except (OSError, HfHubHTTPError) as error:
        raise ConfigError(
            f"SAE '{sae_id}' of release '{release}' is not in the local cache and cannot be downloaded "
            f"({type(error).__name__}); set HF_HUB_OFFLINE=0 where there is a network, or download its folder "
            f"elsewhere and set sae.path to it"
        ) from error
    except (ValueError, KeyError) as error:
        raise ConfigError(
            f"sae-lens knows no SAE '{sae_id}' in release '{release}': {error} Correct sae.path and sae.sae_id"
        ) from error
