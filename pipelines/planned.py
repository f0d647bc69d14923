"""What commands read of a finished run: its plan with the prompts, and what it says about each of them."""

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
from saerl_core.report.explain import ExplainInputs
from saerl_core.stages import MERGED

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
    run, plan = run_with_plan(name, "neither a folder with a plan nor a run of ZenML")
    config = RunConfig.model_validate((run.config.parameters or {})["config"])
    policy = artifact(run, "prepare_policy", "policy")
    reads = None if policy is None else policy.prompt_format
    matches, counted = (artifact(run, "load_prompts", n) for n in ("contamination_matches", "prompts_report"))
    receipts = receipts_of(matches, counted.counts.get("n_eval_items", 0))
    options = ExportOptions(reads, config.grading.kind, config.training.group_size, receipts)
    return PlannedRun(run.name, plan, artifact(run, "load_prompts", "prompts"), options)


def explained_run(name: str) -> ExplainInputs:
    """Load what a run says about its prompts, by the run's name or id, or of the newest with a plan for `latest`.

    Raises:
        ConfigError: there is no such run, or it has no plan.
    """
    run, plan = run_with_plan(name)
    return ExplainInputs(
        run_name=run.name,
        plan=plan,
        prompts=artifact(run, "load_prompts", "prompts"),
        features=artifact(run, "extract_sae_features", "features"),
        names=artifact(run, "extract_sae_features", "feature_names"),
        quality=artifact(run, "train_quality_probe", "quality"),
        quality_report=artifact(run, "train_quality_probe", "quality_report"),
        clusters=artifact(run, "cluster_prompts", "clusters"),
        clusters_report=artifact(run, "cluster_prompts", "clusters_report"),
        difficulty=artifact(run, "calibrate_difficulty", "difficulty"),
        difficulty_report=artifact(run, "calibrate_difficulty", "difficulty_report"),
        pass_rates=artifact(run, "measure_pass_rates", "pass_rates"),
        consumed=artifact(run, "train_policy", "consumed"),
        handed_out=artifact(run, "train_policy", "handed_out"),
    )


def run_with_plan(name: str, unknown: str = "no run of ZenML") -> tuple[PipelineRunResponse, BatchPlan]:
    """Return a run by its name or id, or the newest with a plan for `latest`, and its plan.

    The plan of an online strategy holds the order that was trained on, where the training has finished.

    Raises:
        ConfigError: there is no such run (it is `unknown`), or it has no plan.
    """
    run = _run(name, unknown)
    plan = artifact(run, "plan_batches", "plan")
    if plan is None:
        raise ConfigError(f"run {run.name} has no plan; it ended before plan_batches, or is not a run of saerl")
    return run, _with_order(plan, run) if isinstance(plan, OnlinePlan) else plan


def measured_run(name: str) -> tuple[RunConfig, pd.DataFrame]:
    """Return a run's configuration and its prompts with the pass rates that it measured, found as `planned_run` does.

    Of a measured prompt known_pass_rate and n_rollouts are the measurement; the others have neither.

    Raises:
        ConfigError: there is no such run, or it measured nothing.
    """
    run = _run(name, "no run of ZenML")
    rates = artifact(run, "measure_pass_rates", "pass_rates")
    if rates is None or rates.empty:
        raise ConfigError(
            f"run {run.name} measured no pass rate: difficulty.label or its strategy asked for none; take one that "
            "did, or a file with pass rates"
        )
    prompts = artifact(run, "load_prompts", "prompts").drop(columns="known_pass_rate")
    measured = rates[["prompt_id", "pass_rate", "n_rollouts"]].rename(columns={"pass_rate": "known_pass_rate"})
    config = RunConfig.model_validate((run.config.parameters or {})["config"])
    return config, prompts.merge(measured, on="prompt_id", how="left")


def _with_order(plan: OnlinePlan, run: PipelineRunResponse) -> BatchPlan:
    consumed = artifact(run, "train_policy", "consumed")
    if consumed is None:
        return plan
    clusters, difficulty = (
        artifact(run, step, name)
        for step, name in (("cluster_prompts", "clusters"), ("calibrate_difficulty", "difficulty"))
    )
    return realised(plan, consumed, clusters, difficulty)


def artifact(run: PipelineRunResponse, step: str, name: str) -> Any:
    """Return an artifact of a run, of a step or of the one that merged its shards; None where it is not there."""
    found: StepRunResponse | None = run.steps.get(step) or run.steps.get(MERGED.get(step, ""))
    versions = [] if found is None else found.outputs.get(name, [])
    return versions[0].load() if versions else None


def _run(name: str, unknown: str) -> PipelineRunResponse:
    return _newest() if name == LATEST else _named(name, unknown)


def _named(name: str, unknown: str) -> PipelineRunResponse:
    try:
        return Client().get_pipeline_run(name)
    except (KeyError, ValueError) as error:
        newest = [run.name for run in _runs(3)]
        there = f"the newest runs are {', '.join(newest)}" if newest else "there is no run yet"
        raise ConfigError(f"'{name}' is {unknown}; {there}") from error


def _newest() -> PipelineRunResponse:
    for run in _runs(_LOOKED_AT):
        if "plan_batches" in run.steps and run.steps["plan_batches"].outputs:
            return run
    raise ConfigError(f"none of the {_LOOKED_AT} newest runs has a plan; run the pipeline first")


def _runs(size: int) -> list[PipelineRunResponse]:
    return list(Client().list_pipeline_runs(sort_by="desc:created", size=size).items)
