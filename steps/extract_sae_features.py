"""Extract one sparse row a prompt, the controls and the names of the latents from the same forward pass."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import ControlFeaturesMaterializer, SaeFeaturesMaterializer
from saerl_core.config.run import FeaturesConfig
from saerl_core.features.extract import extract_named_features
from saerl_core.records import ControlFeatures, FeaturesReport, PolicyRef, SaeFeatures, SaeRef
from tracking.runtime import stage, stage_cache, track


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("extract_sae_features"),
    output_materializers={"features": SaeFeaturesMaterializer, "controls": ControlFeaturesMaterializer},
)
def extract_sae_features(
    prompts: pd.DataFrame, policy: PolicyRef, sae: SaeRef, config: FeaturesConfig, seed: int, torch_threads: int
) -> tuple[
    Annotated[SaeFeatures, "features"],
    Annotated[ControlFeatures, "controls"],
    Annotated[pd.DataFrame, "feature_names"],
    Annotated[FeaturesReport, "features_report"],
]:
    """Extract features for the whole pool."""
    with stage("extract_sae_features", torch_threads=torch_threads) as clock:
        features, controls, report, names = extract_named_features(prompts, policy, sae, config, seed, controls=True)
        report = clock.stamp(report)
    track("extract_sae_features", report)
    return features, controls, names, report
