"""Stages that read the pool in shards: a step a shard, none of which waits for another, and one that merges them."""

from collections.abc import Callable
from typing import Any

from pipelines.placement import n_shards, shard_names
from saerl_core.config.run import DifficultyConfig, RunConfig
from steps.extract_sae_features import extract_sae_features
from steps.extract_shard import extract_shard
from steps.label_shard import label_shard
from steps.likelihood_shard import likelihood_shard
from steps.measure_likelihoods import measure_likelihoods
from steps.measure_pass_rates import measure_pass_rates
from steps.merge_features import merge_features
from steps.merge_likelihoods import merge_likelihoods
from steps.merge_pass_rates import merge_pass_rates

Call = Callable[..., Any]


def features(c: RunConfig, prompts: Any, policy: Any, sae: Any, of: str = "") -> Any:
    """Extract the features: features, controls, names and report."""
    read = (prompts, policy, sae, c.features)
    given = (*read, c.seed, c.torch_threads)
    return _divided(
        c,
        extract_sae_features,
        extract_shard,
        given,
        lambda parts: merge_features(*read, parts, id=f"merge_features{of}"),
        of,
    )


def pass_rates(c: RunConfig, prompts: Any, clusters: Any, policy: Any, unless_known: bool) -> Any:
    """Measure the pass rates: they and their report; nothing `unless_known` where the data bring labels."""
    given = (prompts, clusters, policy, c.pass_rates, c.grading, c.seed, c.torch_threads, unless_known, c.rollouts)
    return _divided(
        c,
        measure_pass_rates,
        label_shard,
        given,
        lambda parts: merge_pass_rates(prompts, parts, c.pass_rates, c.grading, unless_known, id="merge_pass_rates"),
    )


def likelihoods(c: RunConfig, prompts: Any, policy: Any, unless_labelled: DifficultyConfig | None, of: str = "") -> Any:
    """Let the policy read the pool: likelihoods and report; none where it has the label of `unless_labelled`."""
    given = (prompts, policy, c.features, c.grading, c.torch_threads, unless_labelled)
    return _divided(
        c,
        measure_likelihoods,
        likelihood_shard,
        given,
        lambda parts: merge_likelihoods(prompts, parts, unless_labelled, id=f"merge_likelihoods{of}"),
        of,
    )


def _divided(c: RunConfig, whole: Call, part: Call, given: tuple[Any, ...], merge: Call, of: str = "") -> Any:
    """Call the step `whole`, or where it has shards `part` for each of them and `merge` with what they gave."""
    name = whole.name
    n = n_shards(c, name)
    if n == 1:
        return whole(*given, id=f"{name}{of}")
    return merge([part(*given, i, n, id=shard) for i, shard in enumerate(shard_names(f"{name}{of}", n), start=1)])
