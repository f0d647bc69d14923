"""An SAE on disk: sae-lens' cfg.json and weights, and our saerl.json beside them."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from saerl_core.errors import DataError
from saerl_core.features.sae_config import CFG_NAME, WEIGHTS_NAME, read_sae_config
from saerl_core.features.saving import atomic_folder
from saerl_core.records import SaeRef

CARD_NAME = "saerl.json"


class _Card(BaseModel):
    """What saerl.json holds: the fields of `SaeRef` but the path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sae_id: str
    model: str | None
    hook_layer: int
    d_in: int
    d_sae: int
    architecture: str


def weights_id(folder: Path) -> str:
    """Return 16 hex digits of SHA-256 over the weights file."""
    with (folder / WEIGHTS_NAME).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def recorded_l0(folder: Path) -> float | None:
    """Return the mean number of active latents a token that cfg.json records, or None."""
    value = (read_sae_config(folder).get("metadata") or {}).get("l0")
    return float(value) if isinstance(value, int | float) else None


def record_metadata(folder: Path, facts: dict[str, str | float | bool]) -> None:
    """Add facts to the metadata in cfg.json; the weights, and with them the sae_id, stay as they are."""
    config = read_sae_config(folder)
    config["metadata"] = {**(config.get("metadata") or {}), **facts}
    (folder / CFG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_card(ref: SaeRef, folder: Path) -> None:
    """Write saerl.json."""
    fields: dict[str, Any] = {name: getattr(ref, name) for name in _Card.model_fields}
    (folder / CARD_NAME).write_text(_Card(**fields).model_dump_json(indent=2) + "\n", encoding="utf-8")


def save_sae(ref: SaeRef, folder: Path) -> None:
    """Copy the SAE into a folder that sae-lens and `load_sae` can both read; `DataError` when it cannot be written."""
    with atomic_folder(folder, "the SAE", last=CARD_NAME) as temporary:
        for name in (CFG_NAME, WEIGHTS_NAME):
            shutil.copyfile(Path(ref.path) / name, temporary / name)
        write_card(ref, temporary)


def load_sae(folder: Path) -> SaeRef:
    """Read the reference of an SAE that `save_sae` wrote; `DataError` when a file is missing or was changed."""
    try:
        card = _Card.model_validate(json.loads((folder / CARD_NAME).read_text(encoding="utf-8")))
        found = weights_id(folder)
    except (OSError, ValueError, ValidationError) as error:
        raise DataError(f"folder '{folder}' holds no readable SAE: {error}; obtain the SAE again") from error
    if found != card.sae_id:
        raise DataError(
            f"'{folder / WEIGHTS_NAME}' is {found}, but {CARD_NAME} names {card.sae_id}; obtain the SAE again"
        )
    return SaeRef(path=folder, **card.model_dump())
