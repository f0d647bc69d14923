"""Extract the features of one shard of the pool: on a cluster a pod of its own."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import ShardMaterializer
from saerl_core.config.run import FeaturesConfig
from saerl_core.features.sharding import extract_shard as extract
from saerl_core.records import PolicyRef, SaeRef
from saerl_core.shards import Shard, ShardResult
from tracking.runtime import stage, stage_cache


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("extract_sae_features"),
    output_materializers={"features_shard": ShardMaterializer},
)
def extract_shard(
    prompts: pd.DataFrame,
    policy: PolicyRef,
    sae: SaeRef,
    config: FeaturesConfig,
    seed: int,
    torch_threads: int,
    shard: int,
    n_shards: int,
) -> Annotated[ShardResult, "features_shard"]:
    """Extract features, controls and the latents' largest activations of shard number `shard`, counted from 1."""
    with stage("extract_sae_features", torch_threads=torch_threads) as clock:
        result = extract(prompts, policy, sae, config, seed, Shard(shard, n_shards))
        return clock.timed(result)
