"""The curriculum that ignores rewards: it hands out a plan, batch by batch."""

from typing import Any

from saerl_core.errors import DataError
from saerl_core.plans import FixedPlan
from saerl_core.protocols import BatchOutcome, PromptId


class FixedCurriculum:
    """Hands out the batches of a `FixedPlan`; implements `saerl_core.protocols.Curriculum`."""

    def __init__(self, plan: FixedPlan) -> None:
        self._plan_hash = plan.plan_hash
        batches: list[list[PromptId]] = [[] for _ in range(plan.n_steps)]
        rows = plan.table.sort_values(["step", "slot"])
        for step, prompt_id in zip(rows["step"], rows["prompt_id"], strict=True):
            batches[int(step)].append(str(prompt_id))
        self._batches = tuple(tuple(batch) for batch in batches)
        self._next_step = 0

    def next_batch(self, step: int) -> list[PromptId]:
        """Return the prompts of step `step` in slot order; `DataError` for a step that the plan does not have."""
        if not 0 <= step < len(self._batches):
            raise DataError(
                f"step {step!r} is not in the plan, which has steps 0 to {len(self._batches) - 1}; "
                "train for as many steps as the plan has, or plan more with plan.n_steps"
            )
        self._next_step = step + 1
        return list(self._batches[step])

    def observe(self, outcome: BatchOutcome) -> None:
        """Ignore the rewards; `DataError` when they are not those of a batch that was handed out."""
        if not 0 <= outcome.step < self._next_step:
            raise DataError(
                f"an outcome came for step {outcome.step}, but the next batch to hand out is that of step "
                f"{self._next_step}; ask for a batch before its outcome is observed"
            )
        planned = self._batches[outcome.step]
        if outcome.prompt_ids != planned:
            slot = next(
                (i for i, (a, b) in enumerate(zip(planned, outcome.prompt_ids, strict=False)) if a != b),
                min(len(planned), len(outcome.prompt_ids)),
            )
            raise DataError(
                f"the outcome of step {outcome.step} differs from the plan from slot {slot} on ({len(planned)} prompts "
                f"planned, {len(outcome.prompt_ids)} observed); train on exactly the batch that was handed out"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the plan's hash and the step that is due next."""
        return {"plan_hash": self._plan_hash, "next_step": self._next_step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the step that is due; `DataError` when the state is that of another plan or of no plan."""
        saved, step = state.get("plan_hash"), state.get("next_step")
        if saved != self._plan_hash:
            raise DataError(
                f"the saved state belongs to plan {saved}, this is plan {self._plan_hash}; "
                "resume with the plan that the checkpoint was made with, or start in an empty folder"
            )
        if not isinstance(step, int) or not 0 <= step <= len(self._batches):
            raise DataError(
                f"the saved state names next_step {step!r}, which is not within 0 to {len(self._batches)}; "
                "the checkpoint is damaged, resume from an earlier one"
            )
        self._next_step = step
