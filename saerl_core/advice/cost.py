"""What a run will generate, from its configuration and its prompts: rollouts are exact, tokens a bound.

A finished run sets beside it what came out (the page's cost ledger).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from saerl_core.config.run import EvaluationConfig, RunConfig
from saerl_core.records import BenchmarksReport
from saerl_core.stages import CONTROL_STAGES, STAGES


@dataclass(frozen=True)
class PlannedCost:
    """What one stage will sample; `stage` is its name in the cost ledger."""

    stage: str
    n_rollouts: int  # at most, where prompts are screened by pilots
    max_completion_tokens: int
    is_trained: bool = False  # updates are made of the rollouts
    n_policies: int = 1  # one after another, each with an engine of its own

    @property
    def max_tokens(self) -> int:
        """Tokens if every completion were as long as allowed."""
        return self.n_rollouts * self.max_completion_tokens


def n_label_rollouts(config: RunConfig, pool: pd.DataFrame) -> int:
    """Return the rollouts that measuring pass rates takes; `pool` holds usable prompts, with `known_pass_rate`."""
    is_known = config.difficulty.label == "auto" and bool(pool["known_pass_rate"].notna().any())
    if not config.may_measure or is_known:
        return 0
    return min(config.pass_rates.n_labelled, len(pool)) * config.pass_rates.n_rollouts


def n_steps_of(config: RunConfig, n_usable: int) -> int:
    """Return the batches of a training: those of one epoch where the configuration says nothing."""
    return config.plan.n_steps or max(1, n_usable // config.plan.prompts_per_step)


def planned_costs(
    config: RunConfig, train: pd.DataFrame, held_out: pd.DataFrame, benchmarks: BenchmarksReport | None = None
) -> tuple[PlannedCost, ...]:
    """Return what the run will sample, stage by stage; stages that sample nothing are left out.

    `train` and `held_out`, the split that is evaluated, are `tables.PROMPTS`. Not in it: what the run samples while it
    makes its own policy, and held-out scores while training.
    """
    return tuple(row for row in _rows(config, train, held_out, benchmarks) if row.n_rollouts > 0)


def _rows(
    config: RunConfig, train: pd.DataFrame, held_out: pd.DataFrame, benchmarks: BenchmarksReport | None
) -> Iterator[PlannedCost]:
    pool, training = train[train["usable"].astype(bool)], config.training
    labels = n_label_rollouts(config, pool)
    yield PlannedCost(STAGES["measure_pass_rates"].step, labels, config.pass_rates.max_completion_tokens)
    if training.enabled:
        n = n_steps_of(config, len(pool)) * config.plan.prompts_per_step * training.group_size
        names = [STAGES["train_policy"].step]
        names += [CONTROL_STAGES["train_control"].step] if config.trains_control else []
        for name in names:
            yield PlannedCost(name, n, training.max_completion_tokens, is_trained=True)
    if config.evaluation.enabled:
        n = _n_answers(config.evaluation, held_out, benchmarks)
        longest = config.evaluation.max_completion_tokens
        n_policies = 1 + training.enabled
        yield PlannedCost(STAGES["evaluate_policy"].step, n * n_policies, longest, n_policies=n_policies)
        if config.trains_control:
            yield PlannedCost(CONTROL_STAGES["evaluate_control"].step, n, longest)


def _n_answers(config: EvaluationConfig, held_out: pd.DataFrame, benchmarks: BenchmarksReport | None) -> int:
    """Return the completions of one policy; prompts beyond its context, which are not asked, are counted too."""
    if not config.benchmarks:
        return int(held_out["usable"].sum()) * config.n_samples
    counts = {} if benchmarks is None else benchmarks.values
    return sum(int(counts.get(f"n_{b.name}", 0)) * (b.n_samples or config.n_samples) for b in config.benchmarks)
