"""Write the page, the cost ledger and everything that makes runs comparable; never cached."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
from zenml import step
from zenml.types import HTMLString

from saerl_core.advice.said import said_of
from saerl_core.environment import state_dir
from saerl_core.forecasts import brier_by_step, forecast_metrics, forecasts
from saerl_core.ledger import costs_table
from saerl_core.plan.realised import realised
from saerl_core.plans import BatchPlan
from saerl_core.records import (
    BenchmarksReport,
    ClustersReport,
    DifficultyReport,
    EvaluationReport,
    ExportedPlans,
    FeaturesReport,
    PassRatesReport,
    PlanReport,
    PolicyReport,
    PromptsReport,
    QualityReport,
    SaeRef,
    SaeReport,
    StageReport,
    TrainingReport,
    WatchReport,
)
from saerl_core.report.answer import accuracy_curve, answer_metrics, diagnostics
from saerl_core.report.inputs import ControlFacts, ReportInputs, SaeFacts, TrainingFacts
from saerl_core.report.page import render_report
from saerl_core.report.summary import summary_text
from saerl_core.stages import CONTROL
from saerl_core.tables import COSTS
from steps._exports import kept
from steps._facts import file_name, run_facts
from tracking import runtime


# One line an artifact would fill a screen before the first statement.
# fmt: off
@step(experiment_tracker=True, enable_cache=False)
def write_report(
    prompts: pd.DataFrame, test_prompts: pd.DataFrame, issues: pd.DataFrame, matches: pd.DataFrame,
    prompts_report: PromptsReport, policy_report: PolicyReport, sae: SaeRef, sae_report: SaeReport,
    features_report: FeaturesReport, quality: pd.DataFrame, quality_report: QualityReport, clusters: pd.DataFrame,
    clusters_report: ClustersReport, difficulty: pd.DataFrame, difficulty_report: DifficultyReport,
    plan: BatchPlan, plan_report: PlanReport, pass_rates: pd.DataFrame | None = None,
    pass_rates_report: PassRatesReport | None = None, log: pd.DataFrame | None = None,
    consumed: pd.DataFrame | None = None, handed_out: pd.DataFrame | None = None,
    training_report: TrainingReport | None = None, scores: pd.DataFrame | None = None,
    evaluation_report: EvaluationReport | None = None, benchmarks_report: BenchmarksReport | None = None,
    vectors_report: StageReport | None = None, likelihoods_report: StageReport | None = None,
    items: pd.DataFrame | None = None,
    control_items: pd.DataFrame | None = None, control_scores: pd.DataFrame | None = None,
    control_log: pd.DataFrame | None = None, control_plan_report: PlanReport | None = None,
    control_training_report: TrainingReport | None = None, control_evaluation_report: EvaluationReport | None = None,
    exported: ExportedPlans | None = None, export_report: StageReport | None = None,
    feature_names: pd.DataFrame | None = None, watch_report: WatchReport | None = None,
) -> tuple[Annotated[HTMLString, "report"], Annotated[pd.DataFrame, "costs"]]:
    """Render the page from all records and log every headline metric, so that a cached run is comparable too."""
    with runtime.stage("write_report"):
        training, config = None, runtime.run_config()
        if log is not None and consumed is not None and handed_out is not None and training_report is not None:
            training = TrainingFacts(log, consumed, training_report, handed_out)
            plan = realised(plan, consumed, clusters, difficulty)
        inputs = ReportInputs(
            config=config, said=said_of(config), facts=run_facts(), train=prompts, test=test_prompts, issues=issues,
            matches=matches, prompts_report=prompts_report, policy_report=policy_report, sae=SaeFacts.of(sae),
            sae_report=sae_report, features_report=features_report, quality=quality, quality_report=quality_report,
            clusters=clusters, clusters_report=clusters_report, difficulty=difficulty,
            difficulty_report=difficulty_report, plan=plan, plan_report=plan_report,
            costs=COSTS.empty(), pass_rates=pass_rates, pass_rates_report=pass_rates_report,
            training=training, scores=scores, evaluation_report=evaluation_report, benchmarks_report=benchmarks_report,
            vectors_report=vectors_report, likelihoods_report=likelihoods_report, items=items, exports=kept(exported),
            export_report=export_report, feature_names=feature_names, watch_report=watch_report,
            control=ControlFacts.of(control_items, control_scores, control_log, control_plan_report,
                                    control_training_report, control_evaluation_report),
        )
        inputs = replace(inputs, costs=costs_table((stage.step, report) for stage, report in inputs.reports()))
        page = render_report(inputs)
        _log(inputs, page)
    return HTMLString(page), inputs.costs
# fmt: on


def _log(inputs: ReportInputs, page: str) -> None:
    predicted: dict[str, float] = {}
    if inputs.training is not None:
        runtime.log_training_curve(inputs.training.log)
        predicted = _log_forecasts(inputs.training)
    if inputs.control is not None:
        runtime.log_training_curve(inputs.control.log, CONTROL)
    source = inputs.config.prompts.path or inputs.config.prompts.dataset or inputs.config.prompts.source
    runtime.log_dataset(inputs.train, "prompts", source, "training")
    files = _write_files(inputs, page, diagnostics(inputs, predicted))
    tags = {"plan_hash": inputs.plan.plan_hash, "sae_id": inputs.sae.sae_id}
    runtime.log_summary(answer_metrics(inputs), accuracy_curve(inputs), tags, files)
    runtime.say(summary_text(inputs))
    runtime.say(_where(inputs))


def _where(inputs: ReportInputs) -> str:
    """Say where the page, the plan and what is odd in the prompts are to be found."""
    folder = state_dir() / "last_run"
    exports = "".join(
        f"\nPlan for {name}: {where}; its README.md says how to start." for name, where in inputs.exports.items()
    )
    return (
        f"Report: {_kept_page(inputs)} (the newest is always {state_dir() / 'report.html'}).\n"
        f"Plan: {folder / 'plan.parquet'}; why each prompt is in it or not: {folder / 'plan_decisions.parquet'}.\n"
        f"Odd prompts: {len(inputs.issues)}, listed in {folder / 'prompt_issues.csv'}."
        f"{exports}"
    )


def _kept_page(inputs: ReportInputs) -> Path:
    """Return the file that keeps this run's page when the next run writes its own."""
    return state_dir() / "reports" / f"{file_name(inputs.facts.run_name)}.html"


def _log_forecasts(training: TrainingFacts) -> dict[str, float]:
    """Log how far off an online strategy's predictions were at every step; return the headlines."""
    rows = forecasts(training.handed_out, training.consumed)
    for number, score in brier_by_step(rows).items():
        runtime.log_training_step(number, {"forecast_brier": score})
    return forecast_metrics(rows)


def _write_files(inputs: ReportInputs, page: str, values: str) -> list[Path]:
    """Write what a person opens without ZenML: into the state folder, and from there into MLflow."""
    folder = state_dir() / "last_run"
    folder.mkdir(parents=True, exist_ok=True)
    (state_dir() / "report.html").write_text(page)
    _kept_page(inputs).parent.mkdir(exist_ok=True)
    _kept_page(inputs).write_text(page)
    (folder / "config.json").write_text(inputs.config.model_dump_json(indent=2))
    (folder / "diagnostics.json").write_text(values)
    (folder / "summary.txt").write_text(summary_text(inputs))
    inputs.plan.table.to_parquet(folder / "plan.parquet", index=False)
    inputs.plan.decisions.to_parquet(folder / "plan_decisions.parquet", index=False)
    inputs.costs.to_csv(folder / "costs.csv", index=False)
    inputs.issues.to_csv(folder / "prompt_issues.csv", index=False)
    (folder / "plan.json").write_text(
        json.dumps({"plan_hash": inputs.plan.plan_hash, "strategy": inputs.plan.strategy})
    )
    names = ("config.json", "diagnostics.json", "plan.parquet", "plan_decisions.parquet", "plan.json", "costs.csv")
    return [state_dir() / "report.html", *(folder / name for name in (*names, "prompt_issues.csv"))]
