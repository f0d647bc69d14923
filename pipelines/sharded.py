"""Stages that read the pool in shards: a step a shard, none of which waits for another, and one that merges them."""

from typing import Any

from pipelines.placement import shard_names
from saerl_core.config.run import RunConfig
from steps.extract_sae_features import extract_sae_features
from steps.extract_shard import extract_shard
from steps.label_shard import label_shard
from steps.measure_pass_rates import measure_pass_rates
from steps.merge_features import merge_features
from steps.merge_pass_rates import merge_pass_rates


def features(c: RunConfig, prompts: Any, policy: Any, sae: Any, of: str = "") -> Any:
    """Extract the features: features, controls, names and report."""
    given = (prompts, policy, sae, c.features)
    step, n = f"extract_sae_features{of}", c.shards.features
    if n == 1:
        return extract_sae_features(*given, c.seed, c.torch_threads, id=step)
    names = enumerate(shard_names(step, n), start=1)
    parts = [extract_shard(*given, c.seed, c.torch_threads, i, n, id=name) for i, name in names]
    return merge_features(*given, parts, id=f"merge_features{of}")


def pass_rates(c: RunConfig, prompts: Any, clusters: Any, policy: Any, unless_known: bool) -> Any:
    """Measure the pass rates: they and their report; nothing `unless_known` where the data bring labels."""
    given = (prompts, clusters, policy, c.pass_rates, c.grading, c.seed, c.torch_threads, unless_known, c.rollouts)
    n = c.shards.pass_rates
    if n == 1:
        return measure_pass_rates(*given)
    names = enumerate(shard_names("measure_pass_rates", n), start=1)
    parts = [label_shard(*given, i, n, id=name) for i, name in names]
    return merge_pass_rates(prompts, parts, c.pass_rates, c.grading, unless_known, id="merge_pass_rates")
