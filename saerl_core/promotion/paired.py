"""The paired comparison of two policies on the same items, and intervals over prompts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64

from saerl_core.errors import DataError
from saerl_core.stats import resampled_means

_KEY = ["benchmark", "prompt_id"]


@dataclass(frozen=True)
class Interval:
    """A mean over prompts with its bootstrap interval."""

    mean: float
    lo: float
    hi: float


def bootstrap(
    values: Float64[np.ndarray, " n"], confidence: float, n_bootstrap: int, rng: np.random.Generator
) -> Interval:
    """Return the mean and its percentile bootstrap interval (Efron 1979).

    The prompt is what was drawn, so prompts are resampled and a prompt's completions stay together as one value. With
    the same generator the bounds never fall when a value rises: the rows that are drawn do not depend on the values.

    Raises:
        DataError: there is no value.
    """
    n = len(values)
    if n == 0:
        raise DataError("no evaluation item to take a mean over; evaluate on at least one prompt")
    means = resampled_means(values, n_bootstrap, rng)
    tail = (1.0 - confidence) / 2.0
    lo, hi = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(values.mean()), float(lo), float(hi))


def pairs(candidate: pd.DataFrame, champion: pd.DataFrame) -> pd.DataFrame:
    """Return one row an item with the pass rates `candidate` and `champion`, sorted by benchmark and prompt.

    Both are `tables.ITEM_SCORES` of one policy each; topics are the candidate's.

    Raises:
        DataError: they were not evaluated on the same items, or there is none.
    """
    ours, theirs = rates(candidate), rates(champion)
    if not ours.index.equals(theirs.index):
        only_ours, only_theirs = len(ours.index.difference(theirs.index)), len(theirs.index.difference(ours.index))
        raise DataError(
            f"the policies were not evaluated on the same items: {only_ours} items only with the candidate, "
            f"{only_theirs} only with the champion; evaluate the champion on the candidate's held-out prompts"
        )
    return ours.rename(columns={"rate": "candidate"}).assign(champion=theirs["rate"]).reset_index()


def rates(items: pd.DataFrame) -> pd.DataFrame:
    """Return topic and pass rate by benchmark and prompt, in a fixed order."""
    if items["policy"].nunique() != 1:
        raise DataError(f"expected the items of one policy, got {sorted(items['policy'].unique())}; select one")
    table = items.assign(rate=items["n_correct"] / items["n_samples"])
    return table.set_index(_KEY)[["topic", "rate"]].sort_index()
