"""Progress that a person can watch: a bar on a terminal, a sparse line in a log file."""

import sys
from typing import Any

from tqdm import tqdm


def track(total: int, desc: str, unit: str = "it") -> "tqdm[Any]":
    """Open a progress bar of `total` units on stderr; use it as a context manager and call `update`.

    Where stderr is not a terminal the bar redraws at most every ten seconds, each time on a line of its own
    that is short enough for a log file.
    """
    interactive = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=desc,
        unit=unit,
        mininterval=0.2 if interactive else 10.0,
        maxinterval=1.0 if interactive else 15.0,
        ncols=100,
        ascii=not interactive,
        dynamic_ncols=interactive,
        file=sys.stderr,
    )
