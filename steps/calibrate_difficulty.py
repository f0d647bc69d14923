"""Predict every prompt's difficulty from the small labelled subset."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config import DifficultyConfig
from saerl_core.records import ControlFeatures, DifficultyReport, SaeFeatures
from saerl_core.signals.difficulty import calibrate_difficulty as calibrate
from steps._runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("calibrate_difficulty"))
def calibrate_difficulty(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    controls: ControlFeatures,
    clusters: pd.DataFrame,
    config: DifficultyConfig,
    seed: int,
    pass_rates: pd.DataFrame | None = None,
) -> tuple[Annotated[pd.DataFrame, "difficulty"], Annotated[DifficultyReport, "difficulty_report"]]:
    """Fit the ElasticNet and its baselines on the same folds; `pass_rates` is None where the data has labels."""
    with stage("calibrate_difficulty") as clock:
        difficulty, report = calibrate(prompts, features, controls, clusters, pass_rates, config, seed)
        report = clock.stamp(report)
    track("calibrate_difficulty", report)
    return difficulty, report
