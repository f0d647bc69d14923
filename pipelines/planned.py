"""What an export reads of a pipeline run: its plan, its prompts, and how the policy reads and answers them."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from zenml.client import Client
from zenml.models import PipelineRunResponse, StepRunResponse

from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError
from saerl_core.export.pool import receipts_of
from saerl_core.export.records import ExportOptions
from saerl_core.plan.realised import realised
from saerl_core.plans import BatchPlan, OnlinePlan

LATEST = "latest"
_LOOKED_AT = 50  # of the newest runs, until one with a plan is found


@dataclass(frozen=True)
class PlannedRun:
    """A run's plan with what goes with it."""

    name: str
    plan: BatchPlan
    prompts: pd.DataFrame  # tables.PROMPTS
    options: ExportOptions


def planned_run(name: str) -> PlannedRun:
    """Load the plan of a run by the run's name or id, or of the newest run with a plan for `latest`.

    The plan of an online strategy holds the order that was trained on, where the training has finished.

    Raises:
        ConfigError: there is no such run, or it has no plan.
    """
    run = _newest() if name == LATEST else _named(name)
    plan = _load(run, "plan_batches", "plan")
    if plan is None:
        raise ConfigError(f"run {run.name} has no plan; it ended before plan_batches, or is not a run of saerl")
    config = RunConfig.model_validate((run.config.parameters or {})["config"])
    policy = _load(run, "prepare_policy", "policy")
    reads = None if policy is None else policy.prompt_format
    matches, counted = _load(run, "load_prompts", "contamination_matches"), _load(run, "load_prompts", "prompts_report")
    receipts = receipts_of(matches, counted.counts.get("n_eval_items", 0))
    options = ExportOptions(reads, config.grading.kind, config.training.group_size, receipts)
    if isinstance(plan, OnlinePlan):
        plan = _with_order(plan, run)
    return PlannedRun(run.name, plan, _load(run, "load_prompts", "prompts"), options)


def measured_run(name: str) -> tuple[RunConfig, pd.DataFrame]:
    """Return a run's configuration and its prompts with the pass rates that it measured, found as `planned_run` does.

    Of a measured prompt known_pass_rate and n_rollouts are the measurement; the others have neither.

    Raises:
        ConfigError: there is no such run, or it measured nothing.
    """
    run = _newest() if name == LATEST else _named(name)
    rates = _load(run, "measure_pass_rates", "pass_rates")
    if rates is None or rates.empty:
        raise ConfigError(
            f"run {run.name} measured no pass rate: difficulty.label or its strategy asked for none; take one that "
            "did, or a file with pass rates"
        )
    prompts = _load(run, "load_prompts", "prompts").drop(columns="known_pass_rate")
    measured = rates[["prompt_id", "pass_rate", "n_rollouts"]].rename(columns={"pass_rate": "known_pass_rate"})
    config = RunConfig.model_validate((run.config.parameters or {})["config"])
    return config, prompts.merge(measured, on="prompt_id", how="left")


def _with_order(plan: OnlinePlan, run: PipelineRunResponse) -> BatchPlan:
    consumed = _load(run, "train_policy", "consumed")
    if consumed is None:
        return plan
    clusters, difficulty = (
        _load(run, step, name)
        for step, name in (("cluster_prompts", "clusters"), ("calibrate_difficulty", "difficulty"))
    )
    return realised(plan, consumed, clusters, difficulty)


def _load(run: PipelineRunResponse, step: str, name: str) -> Any:
    """Return an artifact of a run; None where the step has not given it."""
    found: StepRunResponse | None = run.steps.get(step)
    versions = [] if found is None else found.outputs.get(name, [])
    return versions[0].load() if versions else None


def _named(name: str) -> PipelineRunResponse:
    try:
        return Client().get_pipeline_run(name)
    except (KeyError, ValueError) as error:
        newest = [run.name for run in _runs(3)]
        there = f"the newest runs are {', '.join(newest)}" if newest else "there is no run yet"
        raise ConfigError(f"'{name}' is neither a folder with a plan nor a run of ZenML; {there}") from error


def _newest() -> PipelineRunResponse:
    for run in _runs(_LOOKED_AT):
        if "plan_batches" in run.steps and run.steps["plan_batches"].outputs:
            return run
    raise ConfigError(f"none of the {_LOOKED_AT} newest runs has a plan; run the pipeline first")


def _runs(size: int) -> list[PipelineRunResponse]:
    return list(Client().list_pipeline_runs(sort_by="desc:created", size=size).items)
