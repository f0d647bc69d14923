"""What a strategy is: its settings, its facts and its code, in one row of the table.

Nothing here imports the configuration, because the configuration is made of the settings declared here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field

from saerl_core.config.base import Positive, Section
from saerl_core.config.vectors import VectorsConfig
from saerl_core.errors import DataError
from saerl_core.plan.batches import Order, cut
from saerl_core.plan.choosers import Chooser

SIGNALS = ("cluster_id", "difficulty", "calibrated")  # what `PlanInputs.joined` says of a prompt that may be planned
# beside these, for the oracles of the task world alone: truth, known_pass_rate


class StrategySettings(Section):
    """Settings of one strategy: `name` is a `Literal` with the strategy's name as its default."""

    name: str

    def filters_by_quality(self) -> bool:
        """Tell whether prompts that the quality probe does not keep are left out."""
        return False

    def vectors(self) -> VectorsConfig | None:
        """Return what the prompts' vectors are made of; None for a strategy that needs none."""
        return None

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each combination of own settings that cannot work."""
        yield from ()


class OnlineSettings(StrategySettings):
    """Settings that every online strategy has: the curriculum around it reads them."""

    use_quality: bool = False  # leave out what the quality probe does not keep
    cooldown_rollouts: Annotated[int, Field(ge=0)] = 3072  # of all prompts, before a prompt may return
    max_uses: Positive | None = None  # of one prompt; None: as often as it is wanted

    def filters_by_quality(self) -> bool:
        """Tell whether prompts that the quality probe does not keep are left out."""
        return self.use_quality


@dataclass(frozen=True)
class Candidates:
    """The prompts that may be planned, sorted by `prompt_id`, and what the strategy asked to know of them."""

    table: pd.DataFrame  # prompt_id and the signals that the strategy's row names
    vectors: Float[np.ndarray, "n d"]  # no column where the settings ask for none
    prompts_per_step: int

    @property
    def prompt_ids(self) -> list[str]:
        """Return the ids, in the table's order."""
        return [str(p) for p in self.table["prompt_id"]]


def check_chosen(n: int, candidates: Candidates, which: str) -> None:
    """Raise `DataError` where the prompts that a strategy keeps fill no batch."""
    if n < candidates.prompts_per_step:
        or_less = f", or set it to at most {n}" if n else ""
        raise DataError(
            f"only {n} of {len(candidates.table)} prompts {which}, fewer than plan.prompts_per_step = "
            f"{candidates.prompts_per_step}; let the strategy keep more{or_less}"
        )


def check_truth(candidates: Candidates, column: str, strategy: str, where: str) -> None:
    """Raise `DataError` where an oracle is asked about prompts of which nobody knows the truth."""
    n_unknown = int(candidates.table[column].isna().sum())
    if n_unknown:
        raise DataError(
            f"strategy '{strategy}' is an oracle and reads {column}, which {n_unknown} of {len(candidates.table)} "
            f"prompts lack; {where}, and for real prompts take another strategy"
        )


def shuffled(candidates: Candidates, chosen: np.ndarray, rng: np.random.Generator) -> Order:
    """Shuffle the candidates at these places and cut them into batches."""
    return _cut(candidates, rng.permutation(chosen))


def in_order_of(candidates: Candidates, values: np.ndarray) -> Order:
    """Sort the candidates by a value each, ascending, ties by `prompt_id`, and cut them into batches."""
    return _cut(candidates, np.argsort(values, kind="stable"))  # the table is sorted by id


def best_shuffled(candidates: Candidates, worth: np.ndarray, keep_frac: float, rng: np.random.Generator) -> Order:
    """Shuffle the `keep_frac` of the candidates that are worth most, ties by `prompt_id`."""
    n = round(keep_frac * len(worth))
    check_chosen(n, candidates, f"are the best {keep_frac:.0%}")
    return shuffled(candidates, np.sort(np.argsort(-worth, kind="stable")[:n]), rng)


def _cut(candidates: Candidates, places: np.ndarray) -> Order:
    ids = candidates.prompt_ids
    batches, _ = cut([ids[i] for i in places], candidates.prompts_per_step, group=0)
    return Order(tuple(batches))


S_contra = TypeVar("S_contra", bound=StrategySettings, contravariant=True)


@dataclass(frozen=True)
class _Row(Generic[S_contra]):
    settings: type[Any]  # a subclass of StrategySettings, of OnlineSettings for an online strategy
    title: str  # what it does, in a few words
    source: str  # whose idea it is
    signals: tuple[str, ...] = ()  # the columns of `SIGNALS` that it reads

    @property
    def name(self) -> str:
        """Return the name that stands in a run file."""
        return str(self.settings.model_fields["name"].default)

    @property
    def module(self) -> str:
        """Return the module that the strategy lives in."""
        return str(self.settings.__module__)


@dataclass(frozen=True, kw_only=True)
class StaticStrategy(_Row[S_contra]):
    """Orders the candidates before training.

    `order` gets the candidates, the settings and the epoch's random stream and returns the epoch's full batches; it
    may leave prompts out. No prompt comes twice in an epoch.
    """

    is_online: ClassVar[bool] = False
    order: Callable[[Candidates, S_contra, np.random.Generator], Order]


@dataclass(frozen=True, kw_only=True)
class OnlineStrategy(_Row[S_contra]):
    """Chooses every batch from the rewards so far: `chooser` makes what chooses and learns."""

    is_online: ClassVar[bool] = True
    chooser: Callable[[Candidates, S_contra], Chooser]


Strategy = StaticStrategy[Any] | OnlineStrategy[Any]
