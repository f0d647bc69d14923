"""What the arms of a comparison need beside the run's own signals: those of another space, and vectors."""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from saerl_core.config.run import RunConfig, VectorsConfig
from saerl_core.config.signals import Space
from saerl_core.features.extract import extract_features
from saerl_core.features.likelihood import policy_likelihood
from saerl_core.plan.inputs import PlanInputs
from saerl_core.records import ControlFeatures, PolicyRef, PromptVectors, SaeFeatures, SaeRef
from saerl_core.signals.clusters import cluster_prompts
from saerl_core.signals.corruptions import corrupt_prompts
from saerl_core.signals.difficulty import calibrate_difficulty
from saerl_core.signals.labels import chosen_label
from saerl_core.signals.quality import train_quality_probe
from saerl_core.signals.vectors import prompt_vectors


@dataclass(frozen=True)
class PoolRead:
    """The pool and what was read of it; `pass_rates` None: no arm goes by labels that would have to be measured."""

    prompts: pd.DataFrame
    features: SaeFeatures
    controls: ControlFeatures
    policy: PolicyRef
    sae: SaeRef
    pass_rates: pd.DataFrame | None


def other_signals(spaces: Collection[Space], read: PoolRead, config: RunConfig) -> dict[Space, PlanInputs]:
    """Return the signals of those spaces that are not the run's own."""
    return {space: signals_from(space, read, config) for space in sorted(spaces) if space != config.signals.space}


def vectors_of(read: PoolRead, config: RunConfig, wanted: VectorsConfig) -> PromptVectors:
    """Return what a strategy may know of every prompt; the policy reads the pool once where likelihoods are wanted."""
    table = None
    if wanted.use_likelihood:
        table = policy_likelihood(read.prompts, read.policy, config.grading, config.features).table
    return prompt_vectors(read.prompts, read.features, read.controls, table, wanted, config.seed)


def signals_from(space: Space, read: PoolRead, config: RunConfig) -> PlanInputs:
    """Return quality, clusters and difficulty of a space, learnt from the same labels as the run's own."""
    c, seed, prompts = config, config.seed, read.prompts
    corrupted = bad = bad_controls = None
    if c.quality.labels == "corruptions":
        corrupted = corrupt_prompts(prompts, c.quality, seed)
        bad, bad_controls, _ = extract_features(corrupted, read.policy, read.sae, c.features, seed, controls=True)
    quality, _, _ = train_quality_probe(
        prompts,
        read.features,
        corrupted,
        bad,
        c.quality,
        seed,
        controls=read.controls,
        corrupted_controls=bad_controls,
        space=space,
    )
    clusters, _ = cluster_prompts(prompts, read.features, c.clusters, seed, read.controls, space)
    likelihood = None
    if chosen_label(prompts, read.pass_rates, c.difficulty) == "likelihood":
        likelihood = policy_likelihood(prompts, read.policy, c.grading, c.features).table
    difficulty, _ = calibrate_difficulty(
        prompts,
        read.features,
        read.controls,
        clusters,
        read.pass_rates,
        c.difficulty,
        seed,
        likelihood=likelihood,
        space=space,
    )
    return PlanInputs(prompts=prompts, quality=quality, clusters=clusters, difficulty=difficulty)
