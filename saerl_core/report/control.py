"""The counterfactual: what a plain shuffle of the same seed, sizes and rollouts reached on the same held-out items."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saerl_core.errors import DataError
from saerl_core.report import numbers
from saerl_core.report.inputs import ReportInputs
from saerl_core.seeds import stage_rng
from saerl_core.stats import CONFIDENCE, resampled_means

_N_BOOTSTRAP = 10_000
_KEY = ["benchmark", "prompt_id"]


@dataclass(frozen=True)
class Versus:
    """A strategy against the shuffle: pass@1 as shares; `lo`, `hi`: 95 % interval of the paired difference."""

    strategy: str
    ours: float
    shuffle: float
    lo: float
    hi: float
    n_items: int
    n_rollouts: int  # of the strategy's training
    n_rollouts_shuffle: int
    n_label_rollouts: int = 0  # that the shuffle does without
    share: float | None = None  # of its rollouts after which the strategy had the shuffle's final held-out score

    @property
    def gain(self) -> float:
        """Difference strategy minus shuffle."""
        return self.ours - self.shuffle


def versus(inputs: ReportInputs) -> Versus | None:
    """Compare the strategy's policy with the control's; None where there is no control.

    Items of a benchmark are resampled within it, and benchmarks count alike (Efron 1979; percentile interval).

    Raises:
        DataError: the two were not evaluated on the same items.
    """
    control, training, items = inputs.control, inputs.training, inputs.items
    if control is None or training is None or items is None:
        return None
    ours, theirs = _rates(items[items["policy"] == "after"]), _rates(control.items)
    if not ours.index.equals(theirs.index):
        n = len(ours.index.symmetric_difference(theirs.index))
        raise DataError(f"strategy and control were not evaluated on the same items: {n} differ; evaluate both again")
    rng = stage_rng(inputs.plan.seed, "report.control")
    draws = [resampled_means(d.to_numpy(), _N_BOOTSTRAP, rng) for _, d in (ours - theirs).groupby(level="benchmark")]
    lo, hi = np.quantile(np.mean(draws, axis=0), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    labels = inputs.pass_rates_report
    return Versus(
        inputs.plan.strategy,
        _mean(ours),
        _mean(theirs),
        float(lo),
        float(hi),
        len(ours),
        training.report.n_rollouts,
        control.training_report.n_rollouts,
        labels.n_rollouts if labels is not None else 0,
        share_to_reach(training.log, control.log),
    )


def share_to_reach(log: pd.DataFrame, control: pd.DataFrame) -> float | None:
    """Return after which share of the control's rollouts a training had its final held-out score.

    Both are `tables.TRAINING_LOG`. Counted is the first measured step that is not below it, without interpolation:
    scores are taken every `training.eval_every_steps`. None where either has no scores; infinite where never reached.
    """
    ours, theirs = log.dropna(subset="eval_pass_at_1"), control.dropna(subset="eval_pass_at_1")
    if ours.empty or theirs.empty:
        return None
    final = theirs.sort_values("step").iloc[-1]
    reached = ours.loc[ours["eval_pass_at_1"] >= final["eval_pass_at_1"], "n_rollouts_total"]
    return float(reached.min() / final["n_rollouts_total"]) if len(reached) else math.inf


def versus_sentence(found: Versus) -> str:
    """Say in one sentence what the order bought against a shuffle, what it paid more, and how little one seed shows."""
    gap = f"{numbers.points(found.gain)} points [{numbers.points(found.lo)}, {numbers.points(found.hi)}]"
    ours, shuffle = numbers.percent(found.ours), numbers.percent(found.shuffle)
    text = f"{found.strategy} {ours}, shuffle {shuffle}: {gap} {_budget(found)}"
    if found.lo <= 0 <= found.hi:
        text += f", which {numbers.count(found.n_items)} held-out prompts cannot tell from no difference"
    if found.share is not None:
        text += f"; {_reached(found.share)}"
    if found.n_label_rollouts:
        text += f"; labels took {numbers.count(found.n_label_rollouts)} rollouts more"
    return f"{text} (one seed: another may say something else)."


def versus_metrics(found: Versus) -> Mapping[str, float]:
    """Return the comparison as headline values."""
    return {"accuracy_control": found.shuffle, "gain_over_control": found.gain}


def _budget(found: Versus) -> str:
    if found.n_rollouts == found.n_rollouts_shuffle:
        return "at equal rollouts"
    return f"at {numbers.count(found.n_rollouts)} against {numbers.count(found.n_rollouts_shuffle)} rollouts"


def _reached(share: float) -> str:
    if math.isinf(share):
        return "it never reached the shuffle's final accuracy on the dev split"
    return f"it reached the shuffle's final accuracy on the dev split with {numbers.percent(share, 0)} of the rollouts"


def _rates(items: pd.DataFrame) -> "pd.Series[float]":
    table = items.set_index(_KEY).sort_index()
    rates: pd.Series[float] = table["n_correct"] / table["n_samples"]
    return rates


def _mean(rates: "pd.Series[float]") -> float:
    """Return the unweighted mean over benchmarks."""
    return float(rates.groupby(level="benchmark").mean().mean())
