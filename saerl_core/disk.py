"""Files and folders of which a reader sees all or nothing, also where the writer is killed or the disk is full.

What the file system refuses comes out as it is: whoever writes knows what was lost and what to do.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a place beside `path`; what the block writes there becomes `path` when it ends without an error."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole, UTF-8."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def whole_folder(target: Path, *, last: str | None = None, synced: bool = False) -> Iterator[Path]:
    """Yield a folder beside `target` that takes its place when the block ends without an error.

    With `last` the files move into an existing target one by one, the file of that name, which tells a reader that the
    rest is complete, at the end; other files there are left alone. `synced`: everything is on disk before the rename.
    What a killed writer left behind is removed by the next one.
    """
    building = target.with_name(f".{target.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
        if synced:
            _sync(building)
        if last is not None and target.is_dir():
            for file in sorted(building.iterdir(), key=lambda f: f.name == last):
                os.replace(file, target / file.name)
            return
        if target.exists():
            remove(target)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def remove(folder: Path) -> None:
    """Remove a folder in one move, so that no half of it can be seen under its name."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Flush every file of a folder to disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())


def read_array(path: Path) -> np.ndarray:
    """Return the one array of an npy file; `ValueError` for anything else, pickles and archives of arrays included.

    `np.load` takes an archive too, and leaves its file open.
    """
    with path.open("rb") as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array
