"""Which prompts in which batch, in which order: the sizes of a plan, and the settings of its strategy."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SerializeAsAny

from saerl_core.config.base import Positive, Section
from saerl_core.plan.strategies.adaptive import AdaptiveSettings
from saerl_core.plan.strategies.base import StrategySettings
from saerl_core.plan.strategies.lookup import settings_of

__all__ = ["PlanConfig", "StrategyField", "StrategySettings"]

# A name, or a section with a name and settings of that strategy: a union that other packages add to.
StrategyField = Annotated[SerializeAsAny[StrategySettings], BeforeValidator(settings_of)]


class PlanConfig(Section):
    """Which prompts in which batch, in which order."""

    strategy: StrategyField = AdaptiveSettings()  # docs/strategies.md lists all; saerl where nothing is trained
    prompts_per_step: Positive = 32  # different prompts in a batch
    n_steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = 120  # None: one epoch
