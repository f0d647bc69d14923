"""Checkpoints that were damaged after they were written: found before they are loaded, set aside, said so. No torch."""

import json
import shutil
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from saerl_core.errors import BackendError
from saerl_core.training.checkpoints import STATE_FILES, checkpoints, read_session

_ARCHIVES = (".pt", ".pth", ".bin")  # torch writes zip archives
_ERRORS = (OSError, ValueError, KeyError, SafetensorError, zipfile.BadZipFile, EOFError, BackendError)


def newest_intact(root: Path) -> tuple[Path | None, str | None]:
    """Return the newest checkpoint whose files can all be read, and the sentence about newer ones, if any.

    A damaged checkpoint is renamed to `damaged-<name>`, so that the next start does not meet it again.

    Raises:
        BackendError: there are checkpoints, and every one is damaged.
    """
    damaged: list[tuple[Path, str]] = []
    for folder in reversed(checkpoints(root)):
        reason = damage_of(folder)
        if reason is None:
            return folder, _set_aside(damaged, folder) if damaged else None
        damaged.append((folder, reason))
    if damaged:
        told = "; ".join(f"{folder.name}: {reason}" for folder, reason in damaged)
        raise BackendError(
            f"no checkpoint in {root} can be read ({told}); delete that folder to train from the first step"
        )
    return None, None


def damage_of(folder: Path) -> str | None:
    """Return which file of a checkpoint cannot be read and why, or None: empty, cut and missing files are found."""
    missing = sorted(name for name in STATE_FILES if not (folder / name).is_file())
    if missing:
        return f"{missing[0]} is missing"
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    if not any(p.suffix == ".safetensors" for p in files):
        return "it holds no weights"
    for path in files:
        try:
            _read(path)
        except _ERRORS as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            return f"{path.name} cannot be read ({first})"
    try:
        read_session(folder)
    except BackendError as error:
        return str(error)
    return None


def _read(path: Path) -> None:
    """Raise one of `_ERRORS` where a file of a known kind is damaged."""
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as weights:  # checks the length of the file against its header
            weights.keys()
    elif path.suffix in _ARCHIVES:
        with zipfile.ZipFile(path) as archive:
            if (bad := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"the checksum of {bad} is wrong")
    elif path.suffix == ".parquet":
        pq.ParquetFile(path).read()
    elif path.suffix == ".json":
        content = json.loads(path.read_text(encoding="utf-8"))
        if path.name.endswith(".index.json"):
            absent = sorted(s for s in set(content["weight_map"].values()) if not (path.parent / s).is_file())
            if absent:
                raise ValueError(f"{absent[0]}, which it names, is missing")


def _set_aside(damaged: list[tuple[Path, str]], used: Path) -> str:
    for folder, _ in damaged:
        target = folder.with_name(f"damaged-{folder.name}")
        shutil.rmtree(target, ignore_errors=True)
        try:
            folder.rename(target)
        except OSError as error:
            raise BackendError(
                f"the damaged checkpoint {folder} cannot be set aside: {error}; delete it by hand"
            ) from error
    told = "; ".join(f"{folder.name}: {reason}" for folder, reason in damaged)
    return (
        f"the newest checkpoint was damaged ({told}) and was set aside as damaged-{damaged[0][0].name}; training went "
        f"on from {used.name}"
    )
