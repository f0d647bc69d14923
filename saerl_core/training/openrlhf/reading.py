"""What the reward function really saw: one line a rollout in the audit files of an attempt.

The groups that the books are made of come from here and not from the plan: a rollout of a prompt that nobody asked for,
one too many or one too few fails the run.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from saerl_core.errors import BackendError
from saerl_core.training.session import GradedGroup

_SETTLE_S = 30.0  # for lines that another machine wrote: a shared file system shows them late
_POLL_S = 0.05


@dataclass(frozen=True)
class GradedRollout:
    """One call of the reward function in training."""

    step: int
    slot: int
    prompt_id: str
    correct: bool | None  # None: the grader could not tell, or the reward function failed
    error: str  # empty where the reward function worked
    reward: float  # in [0, 1]


@dataclass(frozen=True)
class GradedStep:
    """All rollouts of a step, found complete: groups in slot order, and what could not be graded."""

    groups: list[GradedGroup]
    n_unknown: int
    n_errors: int
    first_error: str


class AuditReader:
    """Reads the audit files of one attempt as they grow; a line counts when its end has been written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n_lines = 0  # evaluation included: that it grows shows that the trainer is alive
        self._read_until: dict[Path, int] = {}
        self._steps: dict[int, list[GradedRollout]] = defaultdict(list)

    def update(self) -> None:
        """Take in what was written since the last call."""
        for file in sorted(self.folder.glob("*.jsonl")):
            start = self._read_until.get(file, 0)
            with file.open("rb") as stream:
                stream.seek(start)
                content = stream.read()
            whole = content[: content.rfind(b"\n") + 1]
            self._read_until[file] = start + len(whole)
            for line in whole.splitlines():
                self._take(file, line)

    def _take(self, file: Path, line: bytes) -> None:
        try:
            row = cast(dict[str, Any], json.loads(line))
            rollout = GradedRollout(
                step=int(row["step"]),
                slot=int(row["slot"]),
                prompt_id=str(row["id"]),
                correct=row["correct"],
                error=str(row["error"] or ""),
                reward=float(row["reward"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BackendError(
                f"the audit file {file} holds a line that cannot be read ({error}): {line[:200]!r}; the disk may be "
                "full or the file was edited: start the same command again"
            ) from error
        self.n_lines += 1
        if rollout.step >= 0:  # evaluation has step -1
            self._steps[rollout.step].append(rollout)

    def step(
        self,
        step: int,
        batch: list[str],
        group_size: int,
        sleep: Callable[[float], None] = time.sleep,
        *,
        first_slot: int = 0,
    ) -> GradedStep:
        """Return the graded rollouts of a step: exactly `group_size` of the prompt in each slot of `batch`.

        `first_slot` is that of the first prompt, where a step is sampled in several rounds.

        Raises:
            BackendError: a rollout is missing, there is one too many, or one is of another prompt.
        """
        waited, wanted = 0.0, len(batch) * group_size
        self.update()
        while len(self._steps[step]) < wanted and waited < _SETTLE_S:
            sleep(_POLL_S)
            waited += _POLL_S
            self.update()
        rollouts = self._steps.pop(step)
        slots = dict(enumerate(batch, first_slot))
        self._check(step, slots, group_size, rollouts)
        failed = [r.error for r in rollouts if r.error]
        return GradedStep(
            groups=[_group(prompt_id, [r for r in rollouts if r.slot == slot]) for slot, prompt_id in slots.items()],
            n_unknown=sum(r.correct is None and not r.error for r in rollouts),
            n_errors=len(failed),
            first_error=failed[0] if failed else "",
        )

    def _check(self, step: int, slots: dict[int, str], group_size: int, rollouts: list[GradedRollout]) -> None:
        for rollout in rollouts:
            asked = slots.get(rollout.slot, "nothing")
            if rollout.prompt_id != asked:
                raise BackendError(
                    f"the reward function saw prompt '{rollout.prompt_id}' in slot {rollout.slot} of step {step}, but "
                    f"{asked} was asked for: the trainer left the plan; delete the training folder and train again"
                )
        if others := sorted(number for number, found in self._steps.items() if found):
            raise BackendError(
                f"the reward function saw rollouts of step {others[0]} while only step {step} was due: the trainer "
                "left the plan; delete the training folder and train again"
            )
        sizes = Counter(r.slot for r in rollouts)
        for slot, prompt_id in slots.items():
            if sizes[slot] != group_size:
                raise BackendError(
                    f"the reward function saw {sizes[slot]} rollouts of prompt '{prompt_id}' in slot {slot} of step "
                    f"{step}, but training.group_size is {group_size}: it may have had no room to write them down "
                    f"(free disk space), else the trainer's log in {self.folder.parent} says why"
                )


def _group(prompt_id: str, rollouts: list[GradedRollout]) -> GradedGroup:
    return GradedGroup(
        prompt_id, len(rollouts), sum(r.correct is True for r in rollouts), tuple(r.reward for r in rollouts)
    )
