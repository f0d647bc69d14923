"""Folders that are complete or absent: checkpoints, the finished run, the published policy. No torch."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError

from saerl_core.disk import remove, whole_folder
from saerl_core.errors import BackendError
from saerl_core.training.session import TrainingSession

KEEP = 2
_PREFIX = "step-"
_STATE, _LOG, _CONSUMED = "session.json", "log.parquet", "consumed.parquet"
STATE_FILES = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", _STATE, _LOG, _CONSUMED)

Fingerprint = dict[str, str]


@dataclass(frozen=True)
class SavedSession:
    """The state of a session as it lies in a folder."""

    folder: Path
    fingerprint: Fingerprint
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Number of steps that were trained when it was saved."""
        return int(self.state["next_step"])

    def restore(self, session: TrainingSession) -> None:
        """Put the saved state into a session."""
        log, consumed = pd.read_parquet(self.folder / _LOG), pd.read_parquet(self.folder / _CONSUMED)
        session.load_state_dict(self.state, log, consumed)


@contextmanager
def complete_folder(target: Path, what: str) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` when the block ends, with its contents on disk before the rename.

    A kill inside the block leaves what was there before. Whatever the file system refuses becomes a `BackendError`;
    `what` names the thing for its message.
    """
    try:
        with whole_folder(target, synced=True) as building:
            yield building
    except BackendError:
        raise
    except (OSError, RuntimeError, SafetensorError) as error:  # each library names a full disk its way
        raise BackendError(
            f"could not save {what} in {target.parent}: {error}; what was saved before is intact: free disk space "
            "and start "
            "the same command again"
        ) from error


def save_session(folder: Path, session: TrainingSession, fingerprint: Fingerprint) -> None:
    """Write the session's state and tables into a folder."""
    try:
        content = json.dumps({"fingerprint": fingerprint, "state": session.state_dict()}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BackendError(f"the curriculum's state cannot be written as JSON: {error}; mend its state_dict") from error
    (folder / _STATE).write_text(content, encoding="utf-8")
    session.log().to_parquet(folder / _LOG, index=False)
    session.consumed().to_parquet(folder / _CONSUMED, index=False)


def read_session(folder: Path) -> SavedSession:
    """Read what `save_session` wrote; `BackendError` when it is damaged."""
    try:
        content = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        return SavedSession(folder, content["fingerprint"], content["state"])
    except (OSError, ValueError, KeyError) as error:
        raise BackendError(
            f"the saved training state in {folder} cannot be read ({error}); delete that folder"
        ) from error


def check_same_run(saved: SavedSession, now: Fingerprint, work_dir: Path) -> None:
    """Refuse a saved state that belongs to another job; `BackendError` naming the differences."""
    keys = [k for k in sorted({*saved.fingerprint, *now}) if saved.fingerprint.get(k) != now.get(k)]
    if keys:
        shown = "; ".join(f"{k} was {saved.fingerprint.get(k, 'absent')} and is {now.get(k, 'absent')}" for k in keys)
        raise BackendError(
            f"{work_dir} holds the training of another job: {shown}. Delete the folder to train anew, or restore the "
            "plan "
            "and the configuration it was made with to go on"
        )


def checkpoint_folder(root: Path, step: int) -> Path:
    """Return the folder of the checkpoint after `step` steps."""
    return root / f"{_PREFIX}{step:06d}"


def checkpoints(root: Path) -> list[Path]:
    """Return all complete checkpoints, the oldest first."""
    return sorted(p for p in root.glob(f"{_PREFIX}*") if p.is_dir()) if root.is_dir() else []


def prune(root: Path, keep: int = KEEP) -> None:
    """Delete all but the newest checkpoints."""
    for folder in checkpoints(root)[:-keep]:
        remove(folder)


def copy_policy(checkpoint: Path, target: Path) -> None:
    """Copy model and tokenizer of a checkpoint: everything that is not training state."""
    for file in checkpoint.iterdir():
        if file.is_file() and file.name not in STATE_FILES:
            shutil.copy2(file, target / file.name)
