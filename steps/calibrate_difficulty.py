"""Predict every prompt's difficulty from the small labelled subset."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import DifficultyConfig, FeaturesConfig, GradingConfig
from saerl_core.config.signals import Space
from saerl_core.features.likelihood import policy_likelihood
from saerl_core.records import ControlFeatures, DifficultyReport, PolicyRef, SaeFeatures
from saerl_core.signals.difficulty import calibrate_difficulty as calibrate
from saerl_core.signals.labels import chosen_label
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("calibrate_difficulty"))
def calibrate_difficulty(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    controls: ControlFeatures,
    clusters: pd.DataFrame,
    policy: PolicyRef,
    config: DifficultyConfig,
    features_config: FeaturesConfig,
    grading: GradingConfig,
    seed: int,
    torch_threads: int,
    pass_rates: pd.DataFrame | None = None,
    space: Space = "sae",
) -> tuple[Annotated[pd.DataFrame, "difficulty"], Annotated[DifficultyReport, "difficulty_report"]]:
    """Fit the ElasticNet and its baselines on the same folds; `pass_rates` is None where none were measured.

    A pool without labels is read once by the policy.
    """
    with stage("calibrate_difficulty", torch_threads=torch_threads) as clock:
        scored = None
        if chosen_label(prompts, pass_rates, config) == "likelihood":
            scored = policy_likelihood(prompts, policy, grading, features_config)
        difficulty, report = calibrate(
            prompts,
            features,
            controls,
            clusters,
            pass_rates,
            config,
            seed,
            likelihood=scored.table if scored else None,
            space=space,
        )
        if scored is not None:
            notes = (*report.notes, *scored.notes)
            report = report.model_copy(update={"n_prefill_tokens": scored.n_prefill_tokens, "notes": notes})
        report = clock.stamp(report)
    track("calibrate_difficulty", report)
    return difficulty, report
