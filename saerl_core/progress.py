"""Progress that a person can watch: a bar on a terminal, now and then a line in a log file."""

import sys
import time
from typing import Any

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class _Lines:
    """A text sink that writes a redraw of a bar as a line of its own: every ten seconds, and the last one."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._finished = False

    def write(self, text: str) -> int:
        line, now = text.strip("\r\n "), time.monotonic()
        complete = " 100%|" in line
        if line and not self._finished and (complete or now - self._last >= _SECONDS_BETWEEN_LINES):
            sys.stderr.write(line + "\n")
            self._last, self._finished = now, complete
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()


def track(total: int, desc: str, unit: str = "it") -> "tqdm[Any]":
    """Open a progress bar of `total` units on stderr; use it as a context manager and call `update`.

    Where stderr is not a terminal, the bar is a short line every ten seconds, so that a log file stays readable.
    """
    if sys.stderr.isatty():
        return tqdm(total=total, desc=desc, unit=unit, mininterval=0.2, dynamic_ncols=True, file=sys.stderr)
    return tqdm(total=total, desc=desc, unit=unit, mininterval=2.0, ncols=100, ascii=True, file=_Lines())
