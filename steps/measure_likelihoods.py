"""Let the policy read every prompt with its answer: how surprising it finds them."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import DifficultyConfig, FeaturesConfig, GradingConfig
from saerl_core.features.likelihood import NOT_READ, policy_likelihood
from saerl_core.records import PolicyRef, StageReport
from saerl_core.signals.labels import chosen_label
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("measure_likelihoods"))
def measure_likelihoods(
    prompts: pd.DataFrame,
    policy: PolicyRef,
    config: FeaturesConfig,
    grading: GradingConfig,
    torch_threads: int,
    unless_labelled: DifficultyConfig | None = None,
) -> tuple[Annotated[pd.DataFrame, "likelihoods"], Annotated[StageReport, "likelihoods_report"]]:
    """Score prompts and answers in one forward pass; nothing where the pool has the label of `unless_labelled`."""
    with stage("measure_likelihoods", torch_threads=torch_threads) as clock:
        is_wanted = unless_labelled is None or chosen_label(prompts, None, unless_labelled) == "likelihood"
        scored = policy_likelihood(prompts, policy, grading, config) if is_wanted else NOT_READ
        report = clock.stamp(scored.report())
    track("measure_likelihoods", report)
    return scored.table, report
