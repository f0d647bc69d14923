"""Cluster the pool in SAE space."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import ClustersConfig
from saerl_core.config.signals import Space
from saerl_core.records import ClustersReport, ControlFeatures, SaeFeatures
from saerl_core.signals.clusters import cluster_prompts as cluster
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("cluster_prompts"))
def cluster_prompts(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    config: ClustersConfig,
    seed: int,
    controls: ControlFeatures | None = None,
    space: Space = "sae",
    prompts_per_step: int | None = None,
) -> tuple[Annotated[pd.DataFrame, "clusters"], Annotated[ClustersReport, "clusters_report"]]:
    """Assign every prompt to a cluster and describe the clusters.

    The size of a batch decides about the number of clusters where the configuration does not.
    """
    with stage("cluster_prompts") as clock:
        clusters, report = cluster(prompts, features, config, seed, controls, space, prompts_per_step)
        report = clock.stamp(report)
    track("cluster_prompts", report)
    return clusters, report
