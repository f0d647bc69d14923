"""Third-party chatter, off for the length of a block."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("transformers", "trl", "accelerate", "datasets")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let only errors of transformers, trl, accelerate and datasets through, and none of their warnings."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are using 'rollout_func'")  # trl blames its caller for it
        for name in _LOGGERS:
            warnings.filterwarnings("ignore", module=rf"{name}\b")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                # a library that was first imported inside the block had no level yet; unset, it would tell everything
                logger.setLevel(level or logging.WARNING)
