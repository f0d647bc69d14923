"""From a configuration to arms that can be planned and trained: sections resolved, steps from the budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from saerl_core.config.compare import ArmConfig, CompareConfig
from saerl_core.config.run import PlanConfig, RunConfig, TrainingConfig
from saerl_core.config.signals import Space
from saerl_core.errors import ConfigError

SectionT = TypeVar("SectionT", bound=BaseModel)


@dataclass(frozen=True)
class Arm:
    """An arm with whole sections; `plan.n_steps` uses up the budget, `training.eval_every_steps` divides it."""

    name: str
    plan: PlanConfig
    training: TrainingConfig
    space: Space = "sae"  # of quality, clusters and difficulty

    @property
    def rollouts_per_step(self) -> int:
        """Return how many rollouts a step generates."""
        return self.plan.prompts_per_step * self.training.group_size


def resolve_arms(config: RunConfig, compare: CompareConfig) -> tuple[Arm, ...]:
    """Return the arms of a comparison.

    Raises:
        ConfigError: there is no arm, a setting of one is wrong, or its batches do not divide the budget.
    """
    if not compare.arms:
        raise ConfigError("compare.arms is empty; name at least the baseline and one other arm")
    return tuple(_resolved(config, compare, arm) for arm in compare.arms)


def _resolved(config: RunConfig, compare: CompareConfig, arm: ArmConfig) -> Arm:
    plan = _merged(config.plan, arm.plan, f"compare.arms '{arm.name}': plan")
    training = _merged(config.training, arm.training, f"compare.arms '{arm.name}': training")
    per_step = plan.prompts_per_step * training.group_size
    every = compare.budget_rollouts / compare.n_evaluations / per_step
    if not every.is_integer() or every < 1:
        raise ConfigError(
            f"compare.arms '{arm.name}': a step generates {plan.prompts_per_step} x {training.group_size} = {per_step} "
            f"rollouts, which do not divide compare.budget_rollouts {compare.budget_rollouts} into "
            f"{compare.n_evaluations} equal parts; the nearest budgets that do are {_nearest(compare, per_step)}"
        )
    piloted = plan.prompts_per_step * training.pilot_rollouts  # a batch costs less where pilots are dead
    per_batch = piloted if training.screen == "pilot" else per_step
    return Arm(
        arm.name,
        plan.model_copy(update={"n_steps": compare.budget_rollouts // per_batch}),
        training.model_copy(
            update={"seed": None, "eval_every_steps": int(every), "eval_n_samples": compare.n_samples, "enabled": True}
        ),
        arm.space or config.signals.space,
    )


def _nearest(compare: CompareConfig, per_step: int) -> str:
    unit = per_step * compare.n_evaluations
    below = compare.budget_rollouts // unit * unit
    return " and ".join(f"{budget:,}" for budget in (below, below + unit) if budget > 0)


def _merged(section: SectionT, overrides: Mapping[str, Any], where: str) -> SectionT:
    """Return the section with nested overrides; the same messages as for a run file."""
    merged = _deep(section.model_dump(), overrides)
    try:
        return type(section).model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}.{path}: {first['msg']}") from error


def _deep(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        inner = merged.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping) and not _other_name(inner, value):
            merged[key] = _deep(inner, value)
        else:
            merged[key] = value
    return merged


def _other_name(inner: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Tell whether a section is exchanged for another kind (a strategy), whose settings are not the old one's."""
    return "name" in value and value["name"] != inner.get("name")
