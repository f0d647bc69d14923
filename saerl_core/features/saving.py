"""Writing a folder so that a reader sees all of it or nothing."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from saerl_core.disk import whole_folder
from saerl_core.errors import DataError


@contextlib.contextmanager
def atomic_folder(folder: Path, what: str, last: str) -> Iterator[Path]:
    """Yield a temporary folder beside `folder` and move its files there when the block ends without an error.

    A missing target is made by one rename. Into an existing one the files move one by one, `last` (the file that
    tells a reader that the rest is complete) at the end; other files there are left alone. `DataError` when the disk
    is full or the place cannot be written; nothing half-written stays behind then.
    """
    try:
        with whole_folder(folder, last=last) as building:
            yield building
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk in its own type
        raise DataError(
            f"{what} could not be saved in '{folder}': {error}; free some space or choose another folder"
        ) from error
