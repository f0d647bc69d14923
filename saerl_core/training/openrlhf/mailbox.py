"""The conversation between driver and trainer: small JSON files in a folder that both see.

The driver holds the curriculum and the books; the trainer asks for a batch, trains on it and reports. They take turns:

    driver  batch-000000.json   {"step": 0, "prompt_ids": [...]}
    trainer step-000000.json    {"step": 0, "metrics": {...}}         after the optimizer step, before its checkpoint
    driver  batch-000001.json                                        only after the books of step 0 are on disk
    ...
    driver  batch-00000n.json   {"step": n, "prompt_ids": []}        the end

With `training.screen` a step is sampled in rounds, before its report:

    trainer sampled-000000-00.json  {"step": 0, "round": 0, "n_tokens": ...}
    driver  more-000000-01.json     {"step": 0, "round": 1, "prompt_ids": [...], "chosen": []}
    trainer sampled-000000-01.json
    driver  more-000000-02.json     {"step": 0, "round": 2, "prompt_ids": [], "chosen": [0, 2, 5]}     train these slots

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
        content = self._from_driver(f"batch-{step:06d}.json", f"batch for step {step}", timeout_s)
        return [str(i) for i in cast(list[str], content["prompt_ids"])]

    def send_more(self, step: int, number: int, prompt_ids: list[str], chosen: list[int]) -> None:
        """Hand out the prompts of a further round of a step; none: the slots `chosen` are trained on."""
        content: dict[str, object] = {"step": step, "round": number, "prompt_ids": prompt_ids, "chosen": chosen}
        self._write(f"more-{step:06d}-{number:02d}.json", content)

    def wait_for_more(self, step: int, number: int, timeout_s: float) -> tuple[list[str], list[int]]:
        """Return what `send_more` sent, once it is there; `BackendError` after `timeout_s`."""
        name, what = f"more-{step:06d}-{number:02d}.json", f"round {number} of step {step}"
        content = self._from_driver(name, what, timeout_s)
        ids, chosen = cast(list[str], content["prompt_ids"]), cast(list[int], content["chosen"])
        return [str(i) for i in ids], [int(slot) for slot in chosen]

    def _from_driver(self, name: str, what: str, timeout_s: float) -> dict[str, object]:
        path = self.folder / name
        deadline = time.monotonic() + timeout_s
        while not path.exists():
            if time.monotonic() > deadline:
                raise BackendError(
                    f"no {what} came within {timeout_s:.0f} s in {self.folder}: "
                    "the process that holds the curriculum is gone"
                )
            time.sleep(_POLL_S)
        return cast(dict[str, object], json.loads(path.read_text(encoding="utf-8")))

    def send_sampled(self, step: int, number: int, n_tokens: int) -> None:
        """Tell the driver that a round is sampled and graded, and how many tokens were generated in it."""
        content: dict[str, object] = {"step": step, "round": number, "n_tokens": n_tokens}
        self._write(f"sampled-{step:06d}-{number:02d}.json", content)

    def wait_for_sampled(self, step: int, number: int, while_waiting: Callable[[], None]) -> int:
        """Return the tokens of a round once it is sampled; `while_waiting` is called at every look and may raise."""
        path = self.folder / f"sampled-{step:06d}-{number:02d}.json"
        _await(path, while_waiting)
        return int(json.loads(path.read_text(encoding="utf-8"))["n_tokens"])

    def send_report(self, report: StepReport) -> None:
        """Tell the driver that a step is trained."""
        self._write(f"step-{report.step:06d}.json", {"step": report.step, "metrics": report.metrics})

    def wait_for_report(self, step: int, while_waiting: Callable[[], None]) -> StepReport:
        """Return the report of a step; `while_waiting` is called at every look and may raise."""
        path = self.folder / f"step-{step:06d}.json"
        _await(path, while_waiting)
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


def _await(path: Path, while_waiting: Callable[[], None]) -> None:
    while not path.exists():
        while_waiting()
        time.sleep(_POLL_S)


def _read(path: Path) -> StepReport:
    content = json.loads(path.read_text(encoding="utf-8"))
    return StepReport(int(content["step"]), {str(k): float(v) for k, v in content["metrics"].items()})
