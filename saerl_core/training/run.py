"""Train a policy with a curriculum and prove that it was trained with it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from saerl_core.protocols import BatchOutcome, Curriculum, Forecasts, OnStep, PromptId, Remarks
from saerl_core.records import TrainJob, TrainResult
from saerl_core.rollouts.reward_pool import checked_function
from saerl_core.tables import HANDED_OUT
from saerl_core.training.backends import make_trainer
from saerl_core.training.consumed import check_consumed


class RecordedCurriculum:
    """Passes everything on to a curriculum and remembers every batch that it handed out, across resumes too."""

    def __init__(self, curriculum: Curriculum) -> None:
        self._inner = curriculum
        self.batches: list[list[PromptId]] = []

    def next_batch(self, step: int) -> list[PromptId]:
        """Return the curriculum's batch and remember it."""
        batch = list(self._inner.next_batch(step))
        self.batches = [*self.batches[:step], batch]
        return list(batch)

    def observe(self, outcome: BatchOutcome) -> None:
        """Pass the outcome on."""
        self._inner.observe(outcome)

    def handed_out(self) -> pd.DataFrame:
        """Return `tables.HANDED_OUT`: every batch, with what an online curriculum expected of its prompts."""
        rows = [(step, slot, p) for step, batch in enumerate(self.batches) for slot, p in enumerate(batch)]
        table = pd.DataFrame(rows, columns=["step", "slot", "prompt_id"])
        if not isinstance(self._inner, Forecasts):
            return HANDED_OUT.check(table.assign(predicted=np.nan, sd=np.nan, n_seen=np.nan, why=None))
        return HANDED_OUT.check(table.merge(self._inner.predictions(), on=["step", "prompt_id"], how="left"))

    def notes(self) -> tuple[str, ...]:
        """Return what the curriculum says about its order; nothing where it says nothing."""
        return self._inner.notes() if isinstance(self._inner, Remarks) else ()

    def state_dict(self) -> dict[str, Any]:
        """Return the curriculum's state and the batches so far."""
        return {"curriculum": self._inner.state_dict(), "batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore both."""
        self._inner.load_state_dict(state["curriculum"])
        self.batches = [list(batch) for batch in state["batches"]]


def train_policy(job: TrainJob, curriculum: Curriculum, on_step: OnStep) -> TrainResult:
    """Train with the configured backend and compare what was consumed with what the curriculum handed out.

    A killed run that is started again with the same `job.work_dir` goes on after its last checkpoint. `on_step` is
    called after every step that is trained now, not for those of a checkpoint.

    Raises:
        ConfigError, DataError: the job cannot run; nothing was done.
        BackendError: training failed, or left the order that the curriculum gave.
    """
    trainer = make_trainer(job.config)
    if job.grading.code is None:  # a pipeline has looked at a user's reward function when it started
        job = replace(job, grading=checked_function(job.grading))
    trainer.check(job)
    recorded = RecordedCurriculum(curriculum)
    result = trainer.train(job, recorded, on_step)
    check_consumed(recorded.batches, result.consumed)
    report = result.report.model_copy(update={"notes": (*result.report.notes, *recorded.notes())})
    return replace(result, handed_out=recorded.handed_out(), report=report)
