"""Where a killed training goes on: the newest DeepSpeed checkpoint whose books are on disk too.

OpenRLHF loads what the file `latest` of `ckpt/_actor` (and of `ckpt/_critic`) names. DeepSpeed writes that file when
every rank has saved; a checkpoint newer than `latest` is half-written. OpenRLHF 0.11.2 crashes on a folder without
`latest` and loads different steps of actor and critic without a word, so both are put right before it starts.
"""

import shutil
from pathlib import Path

from saerl_core.disk import write_text
from saerl_core.training import checkpoints as store
from saerl_core.training.openrlhf.files import CHECKPOINTS, SESSIONS, explained

_TAG = "global_step"
_LATEST = "latest"


def find_resume(root: Path, now: store.Fingerprint, *, with_critic: bool) -> store.SavedSession | None:
    """Return the books to go on from, and leave in `root` exactly the checkpoints that fit them.

    None where the training starts at the beginning; whatever half-written checkpoint is there is deleted then.

    Raises:
        BackendError: the folder holds the training of another job, or books that cannot be read.
    """
    saved = {session.step: session for session in map(store.read_session, store.checkpoints(root / SESSIONS))}
    for session in saved.values():
        store.check_same_run(session, now, root)
    folders = [root / CHECKPOINTS / name for name in ("_actor", "_critic")[: 1 + with_critic]]
    steps = set(saved)
    for folder in folders:
        steps &= complete_steps(folder)
    step = max(steps, default=0)
    with explained(root / CHECKPOINTS):
        for folder in folders:
            _leave(folder, step)
        for number, session in saved.items():
            if number > step:
                shutil.rmtree(session.folder)
    return saved.get(step)


def complete_steps(folder: Path) -> set[int]:
    """Return the steps whose checkpoint in a DeepSpeed folder is complete: none is newer than `latest` says."""
    latest = _step_of((folder / _LATEST).read_text(encoding="utf-8").strip()) if (folder / _LATEST).is_file() else None
    found = {_step_of(p.name) for p in folder.glob(f"{_TAG}*") if p.is_dir() and any(p.iterdir())}
    return {step for step in found if step is not None and latest is not None and step <= latest}


def prune_sessions(root: Path, keep: int) -> None:
    """Delete the books of checkpoints that OpenRLHF has rotated away."""
    with explained(root / SESSIONS):
        store.prune(root / SESSIONS, keep)


def _leave(folder: Path, step: int) -> None:
    """Make `step` the newest checkpoint of a folder; 0 leaves none."""
    if not folder.is_dir():
        return
    if step == 0:
        shutil.rmtree(folder)
        return
    for place in folder.glob(f"{_TAG}*"):
        if (_step_of(place.name) or 0) > step:
            shutil.rmtree(place)
    write_text(folder / _LATEST, f"{_TAG}{step}")


def _step_of(tag: str) -> int | None:
    number = tag.removeprefix(_TAG)
    return int(number) if tag.startswith(_TAG) and number.isdigit() else None
