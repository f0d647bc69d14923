"""What a person reads who stops a run, and what becomes of the run in MLflow."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from pipelines.setup import active_tracker_uri
from saerl_core.errors import SaerlError
from tracking.processes import mark_dead_runs, mark_own_runs

STOPPED_CODE = 130  # what a shell gives for Ctrl-C
_LOST = (
    "Stopped. Finished steps are in ZenML's cache, and training has a checkpoint of every training.save_every_steps "
    "steps: lost is the unfinished step; of training, what came after its last checkpoint; of answers by vLLM, "
    "those to the prompts it was at. Start the same command again to go on."
)
logger = logging.getLogger("saerl")


class TerminatedError(KeyboardInterrupt):
    """SIGTERM: like Ctrl-C, it must not be taken for a step that failed."""


@contextmanager
def told_when_stopped() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does; either marks the run as KILLED and says how to go on.

    Raises:
        SystemExit: code 130 for Ctrl-C, 143 for SIGTERM.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminated) if is_main else None
    try:
        yield
    except KeyboardInterrupt as stop:
        with suppress(SaerlError):
            mark_own_runs(active_tracker_uri())
        logger.error(_LOST)
        code = 128 + signal.SIGTERM if isinstance(stop, TerminatedError) else STOPPED_CODE
        raise SystemExit(code) from None
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def mark_killed_runs() -> None:
    """Mark the MLflow runs that a killed process of this machine has left as running."""
    with suppress(SaerlError):
        for name in mark_dead_runs(active_tracker_uri()):
            logger.info("MLflow run %s is marked as killed: its process has ended", name)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise TerminatedError
