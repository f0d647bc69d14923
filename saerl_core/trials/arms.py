"""From a configuration to arms that can be planned and trained: sections resolved, steps from the budget."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from saerl_core.config.checks import check_combinations
from saerl_core.config.compare import ArmConfig, CompareConfig
from saerl_core.config.run import FeaturesConfig, PlanConfig, RunConfig, SaeConfig, TrainingConfig
from saerl_core.config.signals import Space
from saerl_core.errors import ConfigError
from saerl_core.trials.unread import FIXED_IN_ARMS

SectionT = TypeVar("SectionT", bound=BaseModel)


@dataclass(frozen=True)
class Reading:
    """How the pool is read: the SAE, its features, and the space of quality, clusters and difficulty."""

    sae: SaeConfig
    features: FeaturesConfig
    space: Space

    def config(self, run: RunConfig) -> RunConfig:
        """Return the run's configuration with this reading in place of its own."""
        signals = run.signals.model_copy(update={"space": self.space})
        return run.model_copy(update={"sae": self.sae, "features": self.features, "signals": signals})


@dataclass(frozen=True)
class Arm:
    """An arm with whole sections; `plan.n_steps` uses up the budget, `training.eval_every_steps` divides it."""

    name: str
    plan: PlanConfig
    training: TrainingConfig
    space: Space = "sae"  # of quality, clusters and difficulty
    reading: Reading | None = None  # None: that of the run

    @property
    def rollouts_per_step(self) -> int:
        """Return how many rollouts a step generates."""
        return self.plan.prompts_per_step * self.training.group_size


def resolve_arms(config: RunConfig, compare: CompareConfig) -> tuple[Arm, ...]:
    """Return the arms of a comparison.

    Raises:
        ConfigError: there is no arm, a setting of one is wrong, one is the same as another, its batches do not divide
            the budget, or the pool brings no held-out prompts.
    """
    if not compare.arms:
        raise ConfigError("compare.arms is empty; name at least the baseline and one other arm")
    if config.prompts.world is None and config.prompts.eval_path is None:
        raise ConfigError(
            f"prompts.source is '{config.prompts.source}', which brings no held-out prompts for arms to be scored on; "
            "name a file in prompts.eval_path"
        )
    arms: list[Arm] = []
    for given in compare.arms:
        arm = _resolved(config, compare, given)
        same = next((other.name for other in arms if replace(other, name=arm.name) == arm), None)
        if same is not None:
            raise ConfigError(
                f"compare.arms: '{arm.name}' differs in nothing from '{same}': what it names are the values that hold "
                "anyway; change or remove one"
            )
        arms.append(arm)
    return tuple(arms)


def other_readings(config: RunConfig, compare: CompareConfig) -> dict[str, Reading]:
    """Return every reading of the pool that is not the run's own, once, by the first arm that has it."""
    found: dict[str, Reading] = {}
    for arm in resolve_arms(config, compare) if compare.arms else ():
        if arm.reading is not None and arm.reading not in found.values():
            found[arm.name] = arm.reading
    return found


def _resolved(config: RunConfig, compare: CompareConfig, arm: ArmConfig) -> Arm:
    here = f"compare.arms '{arm.name}'"
    for path, why in FIXED_IN_ARMS.items():
        section, _, key = path.partition(".")
        if key in getattr(arm, section):
            raise ConfigError(f"{here} sets {path} = {getattr(arm, section)[key]!r}, but {why}; remove it")
    plan = _merged(config.plan, arm.plan, f"{here}: plan")
    training = _merged(config.training, arm.training, f"{here}: training")
    reading = Reading(
        _merged(config.sae, arm.sae, f"{here}: sae"),
        _merged(config.features, arm.features, f"{here}: features"),
        arm.space or config.signals.space,
    )
    whole = reading.config(config).model_copy(update={"plan": plan, "training": training})
    try:
        check_combinations(whole)
    except ValueError as error:
        raise ConfigError(f"{here}: " + str(error).replace("\n", "; ")) from error
    own = Reading(config.sae, config.features, config.signals.space)
    return Arm(arm.name, *_sized(plan, training, compare, here), reading.space, None if reading == own else reading)


def _sized(
    plan: PlanConfig, training: TrainingConfig, compare: CompareConfig, here: str
) -> tuple[PlanConfig, TrainingConfig]:
    """Return plan and training with as many steps and evaluations as the budget asks for."""
    per_step = plan.prompts_per_step * training.group_size
    every = compare.budget_rollouts / compare.n_evaluations / per_step
    if not every.is_integer() or every < 1:
        raise ConfigError(
            f"{here}: a step generates {plan.prompts_per_step} x {training.group_size} = {per_step} "
            f"rollouts, which do not divide compare.budget_rollouts {compare.budget_rollouts} into "
            f"{compare.n_evaluations} equal parts; the nearest budgets that do are {_nearest(compare, per_step)}"
        )
    piloted = plan.prompts_per_step * training.pilot_rollouts  # a batch costs less where pilots are dead
    per_batch = piloted if training.screen == "pilot" else per_step
    return (
        plan.model_copy(update={"n_steps": compare.budget_rollouts // per_batch}),
        training.model_copy(
            update={"seed": None, "eval_every_steps": int(every), "eval_n_samples": compare.n_samples, "enabled": True}
        ),
    )


def _nearest(compare: CompareConfig, per_step: int) -> str:
    unit = per_step * compare.n_evaluations
    below = compare.budget_rollouts // unit * unit
    return " and ".join(f"{budget:,}" for budget in (below, below + unit) if budget > 0)


def _merged(section: SectionT, overrides: Mapping[str, Any], where: str) -> SectionT:
    """Return the section with nested overrides; the same messages as for a run file."""
    if not overrides:
        return section
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
