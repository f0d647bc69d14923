"""What is compared: arms, seeds, a baseline, and an equal budget of generated rollouts."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from saerl_core.config.base import Positive, Section
from saerl_core.config.signals import Space
from saerl_core.plan.strategies.base import StrategySettings
from saerl_core.plan.strategies.lookup import known_names, settings_of


class ArmConfig(Section):
    """One arm: a name, and what differs from the run's own sections."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$")]
    plan: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    space: Space | None = None  # in place of the run's own signals.space
    sae: dict[str, Any] = Field(default_factory=dict)  # another SAE; arms with the same one share its signals
    features: dict[str, Any] = Field(default_factory=dict)  # read in another way

    @property
    def strategy(self) -> StrategySettings | None:
        """Return the strategy that the arm names; None where it has that of the run, or names none that there is."""
        given = self.plan.get("strategy")
        name = given.get("name") if isinstance(given, dict) else given
        return settings_of(given) if name in known_names() else None


class CompareConfig(Section):
    """Arms against a baseline; every arm generates the same number of rollouts."""

    arms: tuple[ArmConfig, ...] = ()
    baseline: str = "vanilla"
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2)
    budget_rollouts: Positive = 15_360  # of training; steps follow from prompts_per_step and group_size
    n_evaluations: Annotated[int, Field(ge=2)] = 10  # points of a learning curve, after the one before training
    split: Literal["dev", "test"] = "test"  # held-out prompts that curves and final scores rest on
    n_samples: Positive = 4  # completions a held-out prompt, at every evaluation
    # where trials run: in worker processes of one step, or each as a step of its own, on a cluster a pod with its GPUs
    place: Literal["workers", "steps"] = "workers"
    workers: Positive = 2  # place workers: trials at a time, each in a process of its own

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds are {list(seeds)}; name at least one, and each once")
        return seeds

    @model_validator(mode="after")
    def _arms(self) -> "CompareConfig":
        names = [arm.name for arm in self.arms]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise ValueError(f"compare.arms has two arms named '{repeated}'; every arm has a name of its own")
        if names and self.baseline not in names:
            raise ValueError(f"compare.baseline is '{self.baseline}', which is none of the arms {names}")
        alike = next((o for i, o in enumerate(self.arms) for a in self.arms[:i] if _same(a, o)), None)
        if alike is not None:
            raise ValueError(f"compare.arms: '{alike.name}' differs in nothing from an arm before it; remove one")
        return self


def _same(one: ArmConfig, other: ArmConfig) -> bool:
    return one.model_dump(exclude={"name"}) == other.model_dump(exclude={"name"})
