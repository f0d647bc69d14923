"""How far a pipeline run is, in a line at the start of every step that is not served from the cache."""

import logging

from zenml import get_step_context
from zenml.enums import ExecutionStatus

logger = logging.getLogger("saerl")

_DONE = (ExecutionStatus.COMPLETED, ExecutionStatus.CACHED)


def say_progress() -> None:
    """Log which step runs, how many are done and how many are left; cached ones count as done."""
    context = get_step_context()
    snapshot = context.pipeline_run.snapshot
    if snapshot is None:  # the store keeps none for this run
        return
    n_steps = len(snapshot.step_configurations)
    n_done = sum(step.status in _DONE for step in context.pipeline_run.steps.values())
    logger.info("%s", progress_line(context.step_run.name, n_done, n_steps))


def progress_line(step: str, n_done: int, n_steps: int) -> str:
    """Return the line: steps done, the one that runs, steps left after it."""
    return f"step {step}: {n_done} of {n_steps} done, this one running, {max(0, n_steps - n_done - 1)} left"
