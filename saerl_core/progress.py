"""Progress that a person can watch: a bar on a terminal, now and then a line in a log file."""

import sys
from typing import Any

from tqdm import tqdm


class _Lines:
    """A text sink that writes each redraw of a bar as a line of its own."""

    def write(self, text: str) -> int:
        line = text.strip("\r\n ")
        if line:
            sys.stderr.write(line + "\n")
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()


def track(total: int, desc: str, unit: str = "it") -> "tqdm[Any]":
    """Open a progress bar of `total` units on stderr; use it as a context manager and call `update`.

    Where stderr is not a terminal, the bar is a short line every ten seconds, so that a log file stays readable.
    """
    if sys.stderr.isatty():
        return tqdm(total=total, desc=desc, unit=unit, mininterval=0.2, dynamic_ncols=True, file=sys.stderr)
    return tqdm(
        total=total, desc=desc, unit=unit, mininterval=10.0, maxinterval=15.0, ncols=100, ascii=True, file=_Lines()
    )
