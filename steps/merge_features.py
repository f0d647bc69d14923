"""Put the shards of an extraction together: what `extract_sae_features` gives where there are none."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import ControlFeaturesMaterializer, SaeFeaturesMaterializer
from saerl_core.config.run import FeaturesConfig
from saerl_core.features.sharding import merge_features as merge
from saerl_core.records import ControlFeatures, FeaturesReport, PolicyRef, SaeFeatures, SaeRef
from saerl_core.shards import ShardResult
from tracking.runtime import stage, stage_cache, track


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("extract_sae_features"),
    output_materializers={"features": SaeFeaturesMaterializer, "controls": ControlFeaturesMaterializer},
)
def merge_features(
    prompts: pd.DataFrame, policy: PolicyRef, sae: SaeRef, config: FeaturesConfig, shards: list[ShardResult]
) -> tuple[
    Annotated[SaeFeatures, "features"],
    Annotated[ControlFeatures, "controls"],
    Annotated[pd.DataFrame, "feature_names"],
    Annotated[FeaturesReport, "features_report"],
]:
    """Merge in the order of the pool; the cost is that of the shards and of merging them."""
    with stage("extract_sae_features") as clock:
        features, controls, report, names = merge(prompts, policy, sae, config, shards)
        own = clock.stamp(report).seconds
        report = report.model_copy(update={"seconds": round(own + sum(part.seconds for part in shards), 3)})
    track("extract_sae_features", report)
    return features, controls, names, report
