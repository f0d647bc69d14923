"""What is evaluated, and what came of it: sets of prompts, and one policy's graded answers to one of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int

from saerl_core.config.run import EvaluationConfig
from saerl_core.errors import DataError
from saerl_core.evaluation.estimators import pass_at_k


@dataclass(frozen=True)
class EvalSet:
    """The usable prompts of a benchmark or of the held-out split, by prompt id."""

    name: str
    items: pd.DataFrame  # rows of tables.PROMPTS
    n_samples: int
    n_left_out: int  # prompts that are not usable
    is_benchmark: bool
    beyond_context: str | None = None  # the sentence about prompts that the policy cannot read

    def without(self, fits: "np.ndarray", note: str) -> "EvalSet":
        """Return the set without the prompts that do not fit; `DataError` where none does."""
        if not fits.any():
            raise DataError(
                f"{note}; nothing is left of '{self.name}' to evaluate on: take a policy of a longer context, "
                "raise rollouts.max_model_len where it is set, or lower evaluation.max_completion_tokens"
            )
        return replace(self, items=self.items[fits], beyond_context=note)

    def possible(self, ks: Iterable[int]) -> list[int]:
        """Return 1 and those k that the samples of this set can estimate a pass@k of, ascending."""
        return [k for k in sorted({1, *ks}) if k <= self.n_samples]


@dataclass(frozen=True)
class Outcome:
    """One policy's completions on one set, graded: an unknown verdict is not correct, and counted."""

    policy: str  # before, after, control
    eval_set: EvalSet
    n_correct: Int[np.ndarray, " n"]
    n_unknown: int
    n_truncated: int
    sum_rewards: float | None = None  # of a user's function, over all completions

    @property
    def n_rollouts(self) -> int:
        """Number of completions."""
        return len(self.n_correct) * self.eval_set.n_samples

    def pass_at(self, k: int) -> Float64[np.ndarray, " n"]:
        """Return the estimate of pass@k for every prompt."""
        return pass_at_k(self.eval_set.n_samples, self.n_correct, k)


def eval_sets(prompts: pd.DataFrame, benchmarks: pd.DataFrame | None, config: EvaluationConfig) -> list[EvalSet]:
    """Return one set a configured benchmark, in their order, or the held-out split where none is configured.

    Raises:
        DataError: a set has no usable prompt, or a benchmark was not loaded.
        ConfigError: no set has the samples for a pass@k that `config` asks for.
    """
    if config.benchmarks:
        loaded = pd.DataFrame(columns=["benchmark", "usable"]) if benchmarks is None else benchmarks
        sets = [
            _of(loaded[loaded["benchmark"] == b.name], b.name, b.n_samples or config.n_samples, True)
            for b in config.benchmarks
        ]
    else:
        sets = [_of(prompts, config.split, config.n_samples, False)]
    for k in config.ks:
        pass_at_k(max(s.n_samples for s in sets), np.zeros(1, dtype=np.int64), k)  # refuse it before any work
    return sets


def _of(prompts: pd.DataFrame, name: str, n_samples: int, is_benchmark: bool) -> EvalSet:
    usable = prompts[prompts["usable"].astype(bool)]
    if usable.empty:
        what = f"benchmark '{name}'" if is_benchmark else f"the split '{name}'"
        way = "remove it from evaluation.benchmarks" if is_benchmark else "give another prompts.eval_path"
        raise DataError(
            f"{what} has no usable prompt to evaluate on ({len(prompts)} rows); give a larger one, {way}, "
            "or set evaluation.enabled to false"
        )
    return EvalSet(name, usable.sort_values("prompt_id"), n_samples, len(prompts) - len(usable), is_benchmark)
