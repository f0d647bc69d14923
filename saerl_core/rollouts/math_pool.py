"""math-verify in processes that can be killed."""

import sys
from pathlib import Path

from saerl_core.errors import BackendError
from saerl_core.rollouts.worker_pool import WorkerPool

_WORKER = Path(__file__).with_name("math_worker.py")


class MathPool(WorkerPool[bool]):
    """Compares pairs of answers: True, False or None, and the reason; see `WorkerPool`."""

    def command(self) -> list[str]:
        """Return the command that starts a worker."""
        return [sys.executable, "-P", "-W", "ignore", str(_WORKER), str(self.timeout_s)]

    def refused(self, reason: str) -> BackendError:
        """Say which library a worker lacks."""
        return BackendError(f"the grader cannot start: {reason}; install math-verify>=0.9")

    def died(self, code: int, *, overdue: bool) -> BackendError:
        """Say with which code a worker ended, and how to see why."""
        return BackendError(f"a grading process ended with code {code} before it was ready; run `python {_WORKER} 5`")
