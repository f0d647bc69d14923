"""What advice is made from, and what it says in numbers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from saerl_core.errors import ConfigError, DataError

BAND = (0.2, 0.8)  # pass rates that the strategy pass_rate_band keeps, both included
BEST_SHARE = 0.25  # of the pool, that with the largest p (1 - p)


@dataclass(frozen=True)
class KnownPassRates:
    """One pass rate a prompt, and with how many rollouts it was measured; None: taken as exact."""

    rates: Float64[np.ndarray, " n"]
    n_rollouts: Float64[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        """Raise `DataError` where a value cannot be what it is said to be."""
        if len(self.rates) == 0:
            raise DataError("there is no pass rate to go by; measure some prompts first")
        bad = self.rates[~((self.rates >= 0) & (self.rates <= 1))]
        if len(bad):
            raise DataError(
                f"a pass rate is {bad[0]:g}; pass rates lie in [0, 1]: correct {len(bad)} of {len(self.rates)}"
            )
        if self.n_rollouts is None:
            return
        bad = self.n_rollouts[~((self.n_rollouts >= 1) & (self.n_rollouts % 1 == 0))]
        if len(bad) or len(self.n_rollouts) != len(self.rates):
            got = f"{bad[0]:g}" if len(bad) else f"given for {len(self.n_rollouts)} of {len(self.rates)} pass rates"
            raise DataError(f"n_rollouts is {got}; say a whole number of at least 1 for every pass rate")


@dataclass(frozen=True)
class Estimate:
    """How the true pass rates of the pool are spread: `weights` of the prompts have pass rate `p`.

    Prompts of the same rate and n_rollouts are one kind; `posterior` says for each kind where its true rate may be.
    """

    p: Float64[np.ndarray, " grid"]
    weights: Float64[np.ndarray, " grid"]  # sum to 1
    kinds: Float64[np.ndarray, "kinds 2"]  # measured rate, n_rollouts (NaN: exact)
    counts: Float64[np.ndarray, " kinds"]  # prompts of each kind
    posterior: Float64[np.ndarray, "kinds grid"]  # rows sum to 1


@dataclass(frozen=True)
class Selection:
    """Some prompts of the pool, and the share of their groups that teach, one for each group size."""

    name: str
    share: float  # of the pool
    live: tuple[float, ...]


@dataclass(frozen=True)
class Labels:
    """What it costs to measure a pool like this one, and after how many rollouts that has paid."""

    n_rollouts: int  # a prompt
    cost: int  # rollouts, of all prompts
    share: float  # of the pool, measured inside the band
    live: float  # share of their groups that teach, at the run's group size
    paid_after: float | None  # rollouts in all, labels included; None: never


@dataclass(frozen=True)
class Broken:
    """Prompts that the policy does not solve."""

    n_sure: int  # never solved, and below 5 % with 95 % confidence; where rates are exact: below 1 %
    n_unsolved: int  # never solved
    n_expected: float  # of those never solved, below 1 % by the estimate


@dataclass(frozen=True)
class Advice:
    """The numbers; `words.in_words` says them."""

    n_prompts: int
    mean: float  # pass rate
    is_exact: bool
    most_rollouts: int | None  # that a pass rate was measured with; None where they are exact
    group_sizes: tuple[int, ...]
    group_size: int  # that of the run
    selections: tuple[Selection, ...]  # the shuffle first
    naive_dead: float  # dead groups of the shuffle at `group_size`, had the measured rates no error
    labels: tuple[Labels, ...]
    broken: Broken


@dataclass(frozen=True)
class RunSize:
    """How much a run generates, at most."""

    n_steps: int
    prompts_per_step: int
    group_size: int
    max_completion_tokens: int
    n_label_rollouts: int = 0
    max_label_tokens: int = 0  # a completion
    trains_control: bool = False  # a plain shuffle of the same size beside it

    @property
    def n_rollouts(self) -> int:
        """Return the completions of one training."""
        return self.n_steps * self.prompts_per_step * self.group_size

    @property
    def n_trainings(self) -> int:
        """Return how many trainings the run has."""
        return 2 if self.trains_control else 1

    @property
    def n_tokens(self) -> int:
        """Return the tokens of trainings and labels, if every completion were as long as allowed."""
        trained = self.n_trainings * self.n_rollouts * self.max_completion_tokens
        return trained + self.n_label_rollouts * self.max_label_tokens


@dataclass(frozen=True)
class Price:
    """How fast a GPU generates and what an hour of it costs."""

    tokens_per_second: float
    per_hour: float | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers that are no speed or price."""
        if not 0 < self.tokens_per_second < float("inf"):
            raise ConfigError(f"tokens per second are {self.tokens_per_second:g}; give a number above 0, of one GPU")
        if self.per_hour is not None and not 0 <= self.per_hour < float("inf"):
            raise ConfigError(f"the price per hour is {self.per_hour:g}; give a number of at least 0, for one GPU")
