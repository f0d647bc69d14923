"""What the gate reads and what it says."""

from dataclasses import dataclass

import pandas as pd
from pydantic import BaseModel, ConfigDict

from saerl_core.promotion.changes import Inputs


@dataclass(frozen=True)
class Candidate:
    """A trained policy's outcomes, what they cost, and what it was trained on."""

    items: pd.DataFrame  # tables.ITEM_SCORES of this policy alone
    costs: pd.DataFrame  # tables.COSTS of its run
    trained_ids: frozenset[str]  # prompts that training consumed
    matches: pd.DataFrame  # tables.MATCHES of its pool
    base: pd.DataFrame | None = None  # as `items`, of the policy that the training started from


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Record):
    """One condition of the gate, with its values and its bound in one sentence."""

    name: str
    passed: bool
    told: str


class Comparison(_Record):
    """One group of items: pass@1 of both policies, and the paired gain with its interval."""

    group: str  # "all", "topic=mod", "benchmark=dev", "small topics"
    n_prompts: int
    candidate: float
    champion: float
    gain: float
    lo: float
    hi: float


class Verdict(_Record):
    """What the gate decided, and everything it looked at."""

    checks: tuple[Check, ...]
    rows: tuple[Comparison, ...] = ()  # empty where there is no champion to compare with
    notes: tuple[str, ...] = ()
    pass_at_1: float

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """The verdict in words: what failed, or everything that was asked for."""
        failed = [check.told for check in self.checks if not check.passed]
        return " ".join(failed or [check.told for check in self.checks])


class RegisteredPolicy(_Record):
    """A version of the model in the registry, as its tags tell it."""

    version: int
    verdict: str  # passed, promoted, rejected, rolled back; empty for one that somebody else registered
    reason: str = ""
    inputs: Inputs | None = None
    artifact: str = ""  # id of the ZenML artifact version that holds the policy
    policy_id: str = ""
    pipeline_run: str = ""
    pass_at_1: float | None = None
    replaces: int | None = None  # the champion before it
