"""What an arm's strategy may know of every prompt, from the arm's own reading of the pool."""

from dataclasses import dataclass

import pandas as pd

from saerl_core.config.run import RunConfig, VectorsConfig
from saerl_core.records import ControlFeatures, PolicyRef, PromptVectors, SaeFeatures
from saerl_core.signals.vectors import prompt_vectors


@dataclass(frozen=True)
class PoolRead:
    """The pool and what was read of it."""

    prompts: pd.DataFrame
    features: SaeFeatures
    controls: ControlFeatures
    policy: PolicyRef
    likelihoods: pd.DataFrame | None  # tables.LIKELIHOOD; None where no arm asks for them


def vectors_of(read: PoolRead, config: RunConfig, wanted: VectorsConfig) -> PromptVectors:
    """Return what a strategy may know of every prompt."""
    table = read.likelihoods if wanted.use_likelihood else None
    return prompt_vectors(read.prompts, read.features, read.controls, table, wanted, config.seed)
