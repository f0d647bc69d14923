"""Measure the pass rates of one shard of the labelled subset: on a cluster a pod of its own."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import ShardMaterializer
from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.config.run import GradingConfig, PassRatesConfig
from saerl_core.records import PolicyRef
from saerl_core.rollouts.label_shards import STAGE, shard_of
from saerl_core.rollouts.measure import try_out
from saerl_core.shards import Shard, ShardResult
from saerl_core.signals.labels import data_label
from tracking.runtime import stage, stage_cache


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("measure_pass_rates"),
    output_materializers={"labels_shard": ShardMaterializer},
)
def label_shard(
    prompts: pd.DataFrame,
    clusters: pd.DataFrame,
    policy: PolicyRef,
    config: PassRatesConfig,
    grading: GradingConfig,
    seed: int,
    torch_threads: int,
    unless_known: bool,
    rollouts: RolloutsConfig,
    shard: int,
    n_shards: int,
) -> Annotated[ShardResult, "labels_shard"]:
    """Sample and grade the rollouts of shard number `shard`, counted from 1; of known labels none.

    The random numbers belong to the prompt and the sample: they are the same in every division.
    """
    part = Shard(shard, n_shards)
    with stage("measure_pass_rates", torch_threads=torch_threads) as clock:
        if unless_known and data_label(prompts) is not None:
            return ShardResult(STAGE, part, {})
        tried = try_out(prompts, clusters, policy, config, grading, seed, rollouts=rollouts, shard=part)
        return clock.timed(shard_of(tried, config, part))
