"""What the steps of a comparison share: the folders of its trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from saerl_core.config.run import RunConfig, VectorsConfig
from saerl_core.environment import state_dir
from saerl_core.plan.inputs import PlanInputs
from saerl_core.records import PassRatesReport, PromptVectors
from saerl_core.trials.arms import Reading, resolve_arms
from saerl_core.trials.prepare import TrialInputs, prepare_trials
from steps._vectors import PoolRead, vectors_of


@dataclass(frozen=True)
class Pool:
    """What was read of the pool in one way, and the signals of that reading."""

    read: PoolRead
    signals: Mapping[str, pd.DataFrame]  # quality, clusters, difficulty

    @property
    def inputs(self) -> PlanInputs:
        """Return what plans are made from."""
        return PlanInputs(prompts=self.read.prompts, **self.signals)


def trial_folders(
    pool: Pool,
    others: Mapping[Reading, Pool],
    held_out: pd.DataFrame,
    labels: PassRatesReport | None,
    config: RunConfig,
) -> list[Path]:
    """Plan every arm with every seed; folders in the order of arms and seeds, those that are there as they are.

    `labels` is what measuring pass rates cost, None where nothing was measured.
    """
    costs = (labels.n_rollouts, labels.n_generated_tokens) if labels is not None else (0, 0)
    inputs = TrialInputs(
        pool.inputs,
        held_out,
        pool.read.policy,
        config.grading,
        *costs,
        config.torch_threads,
        {reading: other.inputs for reading, other in others.items()},
    )

    def embed(wanted: VectorsConfig, reading: Reading | None) -> PromptVectors:
        if reading is None:
            return vectors_of(pool.read, config, wanted)
        return vectors_of(others[reading].read, reading.config(config), wanted)

    arms = resolve_arms(config, config.compare)
    return prepare_trials(inputs, arms, config.compare, state_dir() / "trials", embed)
