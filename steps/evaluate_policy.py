"""Evaluate the policy on held-out prompts, before and after training."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.rollouts import OWN_SAMPLER, RolloutsConfig
from saerl_core.config.run import EvaluationConfig, GradingConfig
from saerl_core.evaluation.evaluate import evaluate_policies
from saerl_core.records import EvaluationReport, PolicyRef
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("evaluate_policy"))
def evaluate_policy(
    held_out: pd.DataFrame,
    policy: PolicyRef,
    config: EvaluationConfig,
    grading: GradingConfig,
    seed: int,
    torch_threads: int,
    trained_policy: PolicyRef | None = None,
    benchmarks: pd.DataFrame | None = None,
    trial: str = "",
    rollouts: RolloutsConfig | None = None,
) -> tuple[
    Annotated[pd.DataFrame, "scores"],
    Annotated[pd.DataFrame, "item_scores"],
    Annotated[EvaluationReport, "evaluation_report"],
]:
    """Score both policies on the benchmarks, else on `held_out`; without training only the base policy is scored.

    The policy of a `trial` is scored alone, under the trial's name.
    """
    with stage("evaluate_policy", torch_threads=torch_threads, trial=trial) as clock:
        scores, items, report = evaluate_policies(
            policy,
            trained_policy,
            held_out,
            config,
            grading,
            seed,
            benchmarks=benchmarks,
            name=trial or "before",
            rollouts=rollouts or OWN_SAMPLER,
        )
        report = clock.stamp(report)
    track("evaluate_policy", report, trial=trial)
    return scores, items, report
