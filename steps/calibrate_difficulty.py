"""Predict every prompt's difficulty from the small labelled subset."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import DifficultyConfig
from saerl_core.config.signals import Space
from saerl_core.records import ControlFeatures, DifficultyReport, SaeFeatures
from saerl_core.signals.difficulty import calibrate_difficulty as calibrate
from saerl_core.signals.labels import chosen_label
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("calibrate_difficulty"))
def calibrate_difficulty(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    controls: ControlFeatures,
    clusters: pd.DataFrame,
    config: DifficultyConfig,
    seed: int,
    torch_threads: int,
    pass_rates: pd.DataFrame | None = None,
    space: Space = "sae",
    likelihoods: pd.DataFrame | None = None,
) -> tuple[Annotated[pd.DataFrame, "difficulty"], Annotated[DifficultyReport, "difficulty_report"]]:
    """Fit the ElasticNet and its baselines on the same folds; `pass_rates` is None where none were measured.

    A pool without labels goes by the policy's `likelihoods`, None where no label can be missing.
    """
    with stage("calibrate_difficulty", torch_threads=torch_threads) as clock:
        by_likelihood = chosen_label(prompts, pass_rates, config) == "likelihood"
        difficulty, report = calibrate(
            prompts,
            features,
            controls,
            clusters,
            pass_rates,
            config,
            seed,
            likelihood=likelihoods if by_likelihood else None,
            space=space,
        )
        report = clock.stamp(report)
    track("calibrate_difficulty", report)
    return difficulty, report
