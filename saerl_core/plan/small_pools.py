"""Pools that do not fill one batch, where nobody trains on the plan in the same run."""

from saerl_core.config.run import PlanConfig
from saerl_core.plan.decisions import refusals
from saerl_core.plan.inputs import PlanInputs
from saerl_core.records import PlanReport


def fit_batch_to_pool(inputs: PlanInputs, config: PlanConfig, *, is_trained: bool) -> tuple[PlanConfig, str | None]:
    """Return the settings with a batch that the candidates fill, and the sentence that says so.

    Where the run trains nothing is changed: the size of a batch is a setting of the training too, and a pool that
    does not fill it is an error.
    """
    n = 0 if is_trained else int((refusals(inputs.joined(), config.strategy) == "").sum())
    if not 0 < n < config.prompts_per_step:
        return config, None
    note = (
        f"only {n} prompts can be planned, fewer than plan.prompts_per_step = {config.prompts_per_step}: a batch holds "
        f"{n} here; set plan.prompts_per_step before you train on this plan"
    )
    return config.model_copy(update={"prompts_per_step": n}), note


def with_notes(report: PlanReport, *notes: str | None) -> PlanReport:
    """Return the plan's report with those of the sentences that there are in front."""
    return report.model_copy(update={"notes": (*(note for note in notes if note is not None), *report.notes)})
