"""The prompt loader that asks the driver for every batch, in place of OpenRLHF's shuffling one. No ray, no torch.

The label of a row, which OpenRLHF hands on to the reward function untouched, says what the row is there for:
`{"id": ..., "step": ..., "slot": ...}`. Rows of the evaluation keep the bare id.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from saerl_core.errors import BackendError
from saerl_core.training.openrlhf.job_file import JobFile
from saerl_core.training.openrlhf.mailbox import Mailbox

EVALUATION = -1  # the step of a label that belongs to no training step

Row: TypeAlias = tuple[str, str, object, object]  # data source, prompt, label, images
Rows: TypeAlias = tuple[list[str], list[str], list[object], list[object]]


class PromptRows(Protocol):
    """What is used of OpenRLHF's PromptDataset; the labels that it holds are prompt ids."""

    labels: list[object]

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Row: ...
    def collate_fn(self, item_list: list[Row]) -> Rows:
        """Make one batch of rows."""
        ...


@dataclass(frozen=True)
class Place:
    """Which prompt a rollout is of, and where it stands in the training: `step` is EVALUATION where nowhere."""

    prompt_id: str
    step: int
    slot: int

    def label(self) -> str:
        """Return the text that OpenRLHF carries to the reward function."""
        return json.dumps({"id": self.prompt_id, "step": self.step, "slot": self.slot})

    @classmethod
    def of(cls, label: object) -> "Place":
        """Read a label back; whatever `label()` did not write is the id of a prompt of the evaluation."""
        try:
            content = json.loads(label) if isinstance(label, str) else None
            if isinstance(content, dict) and content.keys() == {"id", "step", "slot"}:
                return cls(str(content["id"]), int(content["step"]), int(content["slot"]))
        except (ValueError, TypeError):
            pass  # the id of a prompt need not be JSON
        return cls(str(label), EVALUATION, EVALUATION)


class CurriculumLoader:
    """Yields, one prompt at a time, the batches that come through the mailbox, until an empty one ends the training.

    It counts steps as OpenRLHF does, so that its state, which lies in OpenRLHF's checkpoint, must agree with the step
    at which the driver starts this attempt: whoever goes on from another step than the books is refused.
    """

    def __init__(self, rows: PromptRows, mailbox: Mailbox, job: JobFile) -> None:
        self._rows = rows
        self._mailbox = mailbox
        self._job = job
        self._next_step = 0
        self._has_begun = False
        self._index = {str(label): i for i, label in enumerate(rows.labels)}
        if len(self._index) != len(rows):
            raise BackendError(
                f"{job.prompts_file} holds {len(rows)} rows, but only {len(self._index)} different prompt ids; "
                "every prompt must stand in it once"
            )

    def __len__(self) -> int:
        return self._job.n_steps * self._job.prompts_per_step

    def __iter__(self) -> Iterator[Rows]:
        self.start()
        return self._batches()

    def start(self) -> int:
        """Return the step that is due; `BackendError` where the first is not that of the books."""
        if not self._has_begun and self._next_step != self._job.first_step:
            raise BackendError(
                f"the trainer begins at step {self._next_step}, but the books go on at step {self._job.first_step}: "
                "OpenRLHF did not load the checkpoint that belongs to them"
            )
        self._has_begun = True
        return self._next_step

    def advance(self) -> None:
        """Count a step, before its first row: nobody asks for the state in the middle of a batch."""
        self._next_step += 1

    def state_dict(self) -> dict[str, int]:
        """Return the position; it becomes part of OpenRLHF's checkpoint."""
        return {"next_step": self._next_step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore the position; `BackendError` when it is not the one that the driver goes on from."""
        step = state.get("next_step")
        if step != self._job.first_step:
            raise BackendError(
                f"OpenRLHF's checkpoint goes on at step {step}, but the books of this job at step "
                f"{self._job.first_step}; delete the newer checkpoint, or train anew in an empty folder"
            )
        self._next_step = step

    def _batches(self) -> Iterator[Rows]:
        while True:
            step = self._next_step
            ids = self._mailbox.wait_for_batch(step, self._job.mailbox_timeout_s)
            if not ids:
                return
            self._checked(step, ids)
            self.advance()
            yield from self.rows(step, ids)

    def rows(self, step: int, ids: list[str], first_slot: int = 0) -> Iterator[Rows]:
        """Yield the prompts of a step, or of a round of it, one at a time; `BackendError` when they are not ours."""
        indices = self._checked(step, ids)
        for slot, (index, prompt_id) in enumerate(zip(indices, ids, strict=True), first_slot):
            source, prompt, _, images = self._rows[index]
            yield self._rows.collate_fn([(source, prompt, Place(prompt_id, step, slot).label(), images)])

    def _checked(self, step: int, ids: list[str]) -> list[int]:
        """Return the rows of a batch; `BackendError` when it is no batch of this job."""
        is_whole = self._job.screens or len(ids) == self._job.prompts_per_step  # rounds are as long as they need be
        if step >= self._job.n_steps or not is_whole:
            raise BackendError(
                f"the driver sent {len(ids)} prompts for step {step}; the job has {self._job.n_steps} steps of "
                f"{self._job.prompts_per_step} prompts each"
            )
        unknown = [i for i in ids if i not in self._index]
        if unknown:
            raise BackendError(
                f"prompt '{unknown[0]}' of step {step} is not among the {len(self._index)} prompts of "
                f"{self._job.prompts_file}; train with the prompts that the plan was made from"
            )
        return [self._index[i] for i in ids]
