"""What the steps of a comparison share: the folders of its trials."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from saerl_core.config.run import RunConfig
from saerl_core.environment import state_dir
from saerl_core.plan.inputs import PlanInputs
from saerl_core.records import PassRatesReport
from saerl_core.trials.arms import resolve_arms
from saerl_core.trials.prepare import TrialInputs, prepare_trials
from steps._spaces import PoolRead, other_signals, vectors_of


@dataclass(frozen=True)
class Pool:
    """What was read of the pool, its signals, the held-out prompts, and what the labels cost."""

    read: PoolRead
    signals: Mapping[str, pd.DataFrame]  # quality, clusters, difficulty
    held_out: pd.DataFrame
    labels: PassRatesReport | None


def trial_folders(pool: Pool, config: RunConfig) -> list[Path]:
    """Plan every arm with every seed; folders in the order of arms and seeds, those that are there as they are."""
    arms = resolve_arms(config, config.compare)
    costs = (pool.labels.n_rollouts, pool.labels.n_generated_tokens) if pool.labels is not None else (0, 0)
    inputs = TrialInputs(
        PlanInputs(prompts=pool.read.prompts, **pool.signals), pool.held_out, pool.read.policy, config.grading,
        *costs, config.torch_threads, config.signals.space,
    )  # fmt: skip
    inputs = replace(inputs, others=other_signals({arm.space for arm in arms}, pool.read, config))
    embed = partial(vectors_of, pool.read, config)
    return prepare_trials(inputs, arms, config.compare, state_dir() / "trials", embed)
