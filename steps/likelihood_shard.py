"""Let the policy read one shard of the pool: on a cluster a pod of its own."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import ShardMaterializer
from saerl_core.config.run import DifficultyConfig, FeaturesConfig, GradingConfig
from saerl_core.features.likelihood import STAGE
from saerl_core.features.likelihood import likelihood_shard as read
from saerl_core.records import PolicyRef
from saerl_core.shards import Shard, ShardResult
from saerl_core.signals.labels import chosen_label
from tracking.runtime import stage, stage_cache


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("measure_likelihoods"),
    output_materializers={"likelihoods_shard": ShardMaterializer},
)
def likelihood_shard(
    prompts: pd.DataFrame,
    policy: PolicyRef,
    config: FeaturesConfig,
    grading: GradingConfig,
    torch_threads: int,
    unless_labelled: DifficultyConfig | None,
    shard: int,
    n_shards: int,
) -> Annotated[ShardResult, "likelihoods_shard"]:
    """Score the prompts and answers of shard number `shard`, counted from 1; of a labelled pool none."""
    part = Shard(shard, n_shards)
    with stage("measure_likelihoods", torch_threads=torch_threads) as clock:
        if unless_labelled is not None and chosen_label(prompts, None, unless_labelled) != "likelihood":
            return ShardResult(STAGE, part, {})
        return clock.timed(read(prompts, policy, grading, config, part))
