"""A training order: fixed before training, or made in it from the rewards."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from saerl_core.config.run import StrategySettings


@dataclass(frozen=True)
class FixedPlan:
    """An order that is known before training, and what became of every prompt."""

    table: pd.DataFrame  # tables.PLAN
    decisions: pd.DataFrame  # tables.DECISIONS
    strategy: str
    seed: int
    prompts_per_step: int
    plan_hash: str  # sha256 over (step, slot, prompt_id)
    notes: tuple[str, ...] = ()  # what `make_plan` took for granted; a run of the pipeline has it in its report

    @property
    def n_steps(self) -> int:
        """Number of training steps."""
        return int(self.table["step"].max()) + 1 if len(self.table) else 0

    def batch(self, step: int) -> list[str]:
        """Return the prompt ids of a step in slot order."""
        rows = self.table[self.table["step"] == step].sort_values("slot")
        return [str(p) for p in rows["prompt_id"]]


@dataclass(frozen=True)
class OnlinePlan:
    """All that an online curriculum starts from; training makes the order."""

    table: pd.DataFrame  # tables.PLAN; empty until `plan.realised` has filled it with what was trained on
    decisions: pd.DataFrame  # tables.DECISIONS
    candidates: pd.DataFrame  # prompt_id and the signals that the strategy reads
    vectors: Float[np.ndarray, "n d"]  # of the candidates; no column where the strategy needs none
    settings: StrategySettings
    seed: int
    prompts_per_step: int
    n_steps: int
    plan_hash: str  # sha256 over all that decides what the curriculum does, the rewards apart
    notes: tuple[str, ...] = ()  # as in `FixedPlan`

    @property
    def strategy(self) -> str:
        """Name of the strategy."""
        return self.settings.name


BatchPlan = FixedPlan | OnlinePlan
