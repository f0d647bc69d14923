"""Decide which prompts go into which batch, in which order."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import BatchPlanMaterializer
from saerl_core.config.run import PlanConfig
from saerl_core.plan.as_named import naming_notes
from saerl_core.plan.build import plan_batches as plan_them
from saerl_core.plan.inputs import PlanInputs
from saerl_core.plan.small_pools import fit_batch_to_pool, with_notes
from saerl_core.plans import BatchPlan
from saerl_core.policy.context import mark_beyond_context
from saerl_core.records import PlanReport, PolicyRef, PromptVectors
from tracking.runtime import stage, stage_cache, track


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("plan_batches"),
    output_materializers={"plan": BatchPlanMaterializer},
)
def plan_batches(
    prompts: pd.DataFrame,
    quality: pd.DataFrame,
    clusters: pd.DataFrame,
    difficulty: pd.DataFrame,
    config: PlanConfig,
    seed: int,
    code: str,
    policy: PolicyRef,
    n_completion_tokens: int | None,
    vectors: PromptVectors | None = None,
    trial: str = "",
    sizes: BatchPlan | None = None,
) -> tuple[
    Annotated[BatchPlan, "plan"], Annotated[pd.DataFrame, "plan_decisions"], Annotated[PlanReport, "plan_report"]
]:
    """Build the plan of the configured strategy; `code` is the hash of its code, for the cache.

    Prompts that leave no room for a completion in the policy's context are left out. The plan of a `trial` gets as many
    steps as that of `sizes`, where one is given.
    """
    with stage("plan_batches", trial=trial) as clock:
        if sizes is not None:
            config = config.model_copy(update={"n_steps": sizes.n_steps})
        marked = mark_beyond_context(prompts, policy, n_completion_tokens)
        inputs = PlanInputs(prompts=marked.prompts, quality=quality, clusters=clusters, difficulty=difficulty)
        config, small = fit_batch_to_pool(inputs, config, is_trained=bool(n_completion_tokens))
        plan, report = plan_them(inputs, config, seed, vectors)
        report = clock.stamp(with_notes(report, marked.note, small, *naming_notes(plan, config)))
    track("plan_batches", report, trial=trial)
    return plan, plan.decisions, report
