"""Write the plan for the other trainers that the run file names."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import ExportedPlansMaterializer
from saerl_core.export.pool import receipts_of
from saerl_core.export.records import ExportOptions
from saerl_core.export.write import export_plans
from saerl_core.plan.realised import realised
from saerl_core.plans import BatchPlan
from saerl_core.records import ExportedPlans, PolicyRef, PromptsReport, StageReport
from steps._exports import run_folder
from tracking.runtime import stage, stage_cache, track


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("export_plan"),
    output_materializers={"exported": ExportedPlansMaterializer},
)
def export_plan(
    prompts: pd.DataFrame,
    plan: BatchPlan,
    policy: PolicyRef,
    formats: list[str],
    grading: str,
    group_size: int,
    matches: pd.DataFrame,
    prompts_report: PromptsReport,
    consumed: pd.DataFrame | None = None,
    clusters: pd.DataFrame | None = None,
    difficulty: pd.DataFrame | None = None,
) -> tuple[Annotated[ExportedPlans, "exported"], Annotated[StageReport, "export_report"]]:
    """Write one folder a format; of an online strategy the order that was `consumed`, with the signals of its plan."""
    with stage("export_plan") as clock:
        if consumed is not None and clusters is not None and difficulty is not None:
            plan = realised(plan, consumed, clusters, difficulty)
        receipts = receipts_of(matches, prompts_report.counts.get("n_eval_items", 0))
        options = ExportOptions(policy.prompt_format, grading, group_size, receipts)
        exported, n_rows = export_plans(plan, prompts, formats, run_folder(), options)
        values = {"n_formats": float(len(exported.formats)), "n_rows": float(n_rows)}
        report = clock.stamp(StageReport(stage="export", values=values))
    track("export_plan", report)
    return exported, report
