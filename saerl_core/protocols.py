"""The interfaces that rooms meet through: who chooses the prompts, who trains on them, who compares two answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from saerl_core.errors import DataError
from saerl_core.records import TrainJob, TrainResult

PromptId = str
StepMetrics = dict[str, float]
OnStep = Callable[[int, StepMetrics], None]


@dataclass(frozen=True)
class BatchOutcome:
    """What one training step saw: per prompt of the batch, in slot order, how many rollouts were correct.

    A prompt with 0 rollouts was not sampled. `DataError` for counts that are none.
    """

    step: int
    prompt_ids: tuple[PromptId, ...]
    n_rollouts: tuple[int, ...]
    n_correct: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what a strategy would learn nonsense from."""
        n_ids, lengths = len(self.prompt_ids), (len(self.n_rollouts), len(self.n_correct))
        if lengths != (n_ids, n_ids):
            raise DataError(
                f"the outcome of step {self.step} has {lengths[0]} numbers of rollouts and {lengths[1]} of correct "
                f"ones for {n_ids} prompts; give one of each a prompt, in the order of the batch"
            )
        for prompt_id, n, right in zip(self.prompt_ids, self.n_rollouts, self.n_correct, strict=True):
            if not _are_counts(right, n):
                raise DataError(
                    f"the outcome of step {self.step} says that {right!r} of {n!r} rollouts of prompt '{prompt_id}' "
                    "were correct; give two whole numbers, the first from 0 to the second"
                )


def _are_counts(part: int, whole: int) -> bool:
    """Whether these are whole numbers, the first from 0 to the second; they come from loops that nobody type-checks."""
    try:
        return 0 <= part <= whole and part % 1 == 0 and whole % 1 == 0
    except TypeError:
        return False


class AnswerComparison(Protocol):
    """Tells whether two gold answers mean the same; the grader does, and `prompts` does not know it."""

    def __call__(self, pairs: list[tuple[str, str]]) -> list[bool | None]:
        """Return one verdict a pair; None: it cannot be told."""
        ...


class Curriculum(Protocol):
    """Chooses every batch; state is JSON-serialisable and goes into each checkpoint. No torch."""

    def next_batch(self, step: int) -> list[PromptId]:
        """Return the prompts of training step `step` (0-based), in slot order."""
        ...

    def observe(self, outcome: BatchOutcome) -> None:
        """Learn from the rewards of a finished step; called before the next `next_batch`."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the JSON-serialisable state to save with a checkpoint."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state; the next batch is then the one that was due when it was saved."""
        ...


@runtime_checkable
class Forecasts(Protocol):
    """A curriculum that says what it expects of the prompts it chooses."""

    def predictions(self) -> pd.DataFrame:
        """Return `tables.PREDICTIONS` of every step so far."""
        ...


@runtime_checkable
class Remarks(Protocol):
    """A curriculum that has something to say about the order it has made."""

    def notes(self) -> tuple[str, ...]:
        """Return one sentence each for whoever reads the report of the training."""
        ...


class Trainer(Protocol):
    """One RL backend."""

    def check(self, job: TrainJob) -> None:
        """Refuse, before any work, a job that this backend cannot run."""
        ...

    def train(self, job: TrainJob, curriculum: Curriculum, on_step: OnStep) -> TrainResult:
        """Train and return the checkpoint, the log and what was really consumed."""
        ...
