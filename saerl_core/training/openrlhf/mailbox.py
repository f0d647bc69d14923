"""The conversation between driver and trainer: small JSON files in a folder that both see.

The driver holds the curriculum and the books; the trainer asks for a batch, trains on it and reports. They take turns:

    driver  batch-000000.json   {"step": 0, "prompt_ids": [...]}
    trainer step-000000.json    {"step": 0, "metrics": {...}}         after the optimizer step, before its checkpoint
    driver  batch-000001.json                                        only after the books of step 0 are on disk
    ...
    driver  batch-00000n.json   {"step": n, "prompt_ids": []}        the end

    trainer eval-000010.json    {"step": 10, "metrics": {...}}        held-out scores, when it evaluates

Files appear by a rename, so that a reader never sees half of one. Every start of the trainer has a folder of its own:
what a killed attempt wrote is never taken for an answer. No torch, no ray: both sides import this module.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from saerl_core.disk import write_text
from saerl_core.errors import BackendError

_POLL_S = 0.05


@dataclass(frozen=True)
class StepReport:
    """What the trainer measured in one step (0-based); the names are OpenRLHF's own."""

    step: int
    metrics: dict[str, float]


class Mailbox:
    """One side's view of the folder of one attempt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send_batch(self, step: int, prompt_ids: list[str]) -> None:
        """Hand out the batch of a step; an empty one ends the training."""
        self._write(f"batch-{step:06d}.json", {"step": step, "prompt_ids": prompt_ids})

    def wait_for_batch(self, step: int, timeout_s: float) -> list[str]:
        """Return the batch of a step once the driver has sent it; `BackendError` after `timeout_s`."""
        path = self.folder / f"batch-{step:06d}.json"
        deadline = time.monotonic() + timeout_s
        while not path.exists():
            if time.monotonic() > deadline:
                raise BackendError(
                    f"no batch for step {step} came within {timeout_s:.0f} s in {self.folder}: "
                    "the process that holds the curriculum is gone"
                )
            time.sleep(_POLL_S)
        return [str(i) for i in cast(list[str], json.loads(path.read_text(encoding="utf-8"))["prompt_ids"])]

    def send_report(self, report: StepReport) -> None:
        """Tell the driver that a step is trained."""
        self._write(f"step-{report.step:06d}.json", {"step": report.step, "metrics": report.metrics})

    def wait_for_report(self, step: int, while_waiting: Callable[[], None]) -> StepReport:
        """Return the report of a step; `while_waiting` is called at every look and may raise."""
        path = self.folder / f"step-{step:06d}.json"
        while not path.exists():
            while_waiting()
            time.sleep(_POLL_S)
        return _read(path)

    def send_evaluation(self, report: StepReport) -> None:
        """Tell the driver the held-out scores after `report.step` steps."""
        self._write(f"eval-{report.step:06d}.json", {"step": report.step, "metrics": report.metrics})

    def evaluations(self, seen: set[int]) -> list[StepReport]:
        """Return the evaluations whose step is not in `seen`, the earliest first."""
        found = [_read(path) for path in sorted(self.folder.glob("eval-*.json"))]
        return [report for report in found if report.step not in seen]

    def _write(self, name: str, content: dict[str, object]) -> None:
        try:
            write_text(self.folder / name, json.dumps(content))
        except OSError as error:
            raise BackendError(
                f"could not write {name} in {self.folder}: {error}; free disk space and start the same command again"
            ) from error


def _read(path: Path) -> StepReport:
    content = json.loads(path.read_text(encoding="utf-8"))
    return StepReport(int(content["step"]), {str(k): float(v) for k, v in content["metrics"].items()})
