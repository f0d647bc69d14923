"""Train the quality probe on corruptions of the pool, or on a user's labels."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import LinearProbeMaterializer
from saerl_core.config.run import FeaturesConfig, QualityConfig
from saerl_core.config.signals import Space
from saerl_core.features.extract import extract_features
from saerl_core.records import ControlFeatures, LinearProbe, PolicyRef, QualityReport, SaeFeatures, SaeRef
from saerl_core.signals.corruptions import corrupt_prompts
from saerl_core.signals.quality import train_quality_probe as train
from tracking.runtime import stage, stage_cache, track


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("train_quality_probe"),
    output_materializers={"quality_probe": LinearProbeMaterializer},
)
def train_quality_probe(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    controls: ControlFeatures,
    policy: PolicyRef,
    sae: SaeRef,
    config: QualityConfig,
    features_config: FeaturesConfig,
    seed: int,
    torch_threads: int,
    space: Space = "sae",
) -> tuple[
    Annotated[pd.DataFrame, "quality"],
    Annotated[LinearProbe, "quality_probe"],
    Annotated[QualityReport, "quality_report"],
]:
    """Score every prompt; corruptions are made and read by the same SAE only where they are the labels."""
    with stage("train_quality_probe", torch_threads=torch_threads) as clock:
        corrupted = corrupted_features = corrupted_controls = None
        if config.labels == "corruptions":
            corrupted = corrupt_prompts(prompts, config, seed)
            corrupted_features, corrupted_controls, _ = extract_features(
                corrupted, policy, sae, features_config, seed, controls=True
            )
        quality, probe, report = train(
            prompts,
            features,
            corrupted,
            corrupted_features,
            config,
            seed,
            controls=controls,
            corrupted_controls=corrupted_controls,
            space=space,
        )
        report = clock.stamp(report)
    track("train_quality_probe", report)
    return quality, probe, report
