"""What the pass rates say about groups that teach nothing, and what a shuffle then showed: part of the difficulty."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from saerl_core.advice.advise import GROUP_SIZES, advise
from saerl_core.advice.records import Advice, KnownPassRates
from saerl_core.config.run import CONTROL_STRATEGY
from saerl_core.report import numbers
from saerl_core.report.blocks import Block, Table, Text
from saerl_core.report.inputs import ReportInputs
from saerl_core.stats import wilson

FIRST_STEPS = 10


@dataclass(frozen=True)
class DeadShare:
    """Dead groups of a shuffle in its first steps: the share that was predicted, the one that came, 95 % around it."""

    predicted: float
    real: float
    lo: float
    hi: float
    n_groups: int
    n_steps: int

    @property
    def holds(self) -> bool:
        """Tell whether the prediction lies in the interval."""
        return self.lo <= self.predicted <= self.hi


def advice_of(inputs: ReportInputs) -> tuple[Advice, str] | None:
    """Return the advice with where its pass rates come from; None where no prompt has one."""
    found = _known(inputs)
    if found is None:
        return None
    known, whence = found
    return advise(known, inputs.config.training.group_size), whence


def advice_blocks(inputs: ReportInputs) -> list[Block]:
    """Return sentence, table and check; nothing where no prompt has a pass rate."""
    found = advice_of(inputs)
    if found is None:
        return []
    advice, whence = found
    blocks: list[Block] = [Text(_words(inputs, advice), strong=True), _table(advice, whence)]
    checked = dead_share(inputs, advice)
    return [*blocks, Text(_check_words(inputs, checked))] if checked is not None else blocks


def dead_share(inputs: ReportInputs, advice: Advice) -> DeadShare | None:
    """Compare with the first steps of a shuffle: the run's own, else its control.

    None where labels were not measured, or no shuffle was trained. The interval is Wilson's (1927) over the groups and
    does not cover the labels' own error.
    """
    if inputs.pass_rates is None or inputs.pass_rates.empty or inputs.training is None:
        return None
    if inputs.plan.strategy == CONTROL_STRATEGY:
        log = inputs.training.log
    elif inputs.control is not None:
        log = inputs.control.log
    else:
        return None
    first = log.sort_values("step").head(FIRST_STEPS)
    if first.empty:
        return None
    n_groups = max(1, int(first["n_rollouts_total"].max()) // inputs.config.training.group_size)
    real = float(first["zero_std_frac"].mean())
    return DeadShare(_dead(advice, advice.group_size), real, *wilson(real, n_groups), n_groups, len(first))


def _known(inputs: ReportInputs) -> tuple[KnownPassRates, str] | None:
    rates = inputs.pass_rates
    if rates is not None and len(rates):
        values, n = (rates[name].to_numpy(dtype=np.float64) for name in ("pass_rate", "n_rollouts"))
        return KnownPassRates(values, n), f"measured with up to {int(n.max())} rollouts on {len(rates):,} prompts"
    given = pd.to_numeric(inputs.train.loc[inputs.train["usable"], "known_pass_rate"]).dropna()
    if given.empty:
        return None
    return KnownPassRates(given.to_numpy(dtype=np.float64)), f"those that came with {len(given):,} prompts"


def _dead(advice: Advice, group_size: int) -> float:
    return 1.0 - advice.selections[0].live[advice.group_sizes.index(group_size)]


def _words(inputs: ReportInputs, advice: Advice) -> str:
    own = advice.group_size
    others = ", ".join(f"of {n}: {numbers.percent(_dead(advice, n), 0)}" for n in GROUP_SIZES if n != own)
    return (
        f"With groups of {own}, {numbers.percent(_dead(advice, own), 0)} of the rollouts of a shuffle would teach "
        f"nothing, because their group is all right or all wrong; with groups {others}."
    )


def _table(advice: Advice, whence: str) -> Table:
    shown = [n for n in advice.group_sizes if n in GROUP_SIZES or n == advice.group_size]
    rows = []
    for n in shown:
        dead = _dead(advice, n)
        rows.append([str(n), numbers.percent(dead, 0), numbers.count(1000 / n * (1 - dead))])
    caption = (
        f"From pass rates {whence}"
        + (", taken as exact" if advice.is_exact else "; the noise of measuring is taken out (docs/advice.md)")
        + ". They are those before training, which moves them."
    )
    if advice.most_rollouts is not None and max(shown) > advice.most_rollouts:
        caption += f" Lines beyond {advice.most_rollouts} are extrapolated."
    columns = ["completions in a group", "dead groups of a shuffle", "groups that teach, of 1,000 rollouts"]
    own = frozenset({shown.index(advice.group_size)})
    return Table("Groups that would teach nothing", columns, rows, 0, caption, own)


def _check_words(inputs: ReportInputs, found: DeadShare) -> str:
    whose = "this run, a shuffle," if inputs.plan.strategy == CONTROL_STRATEGY else "the control, a plain shuffle,"
    verdict = (
        "the prediction lies in the interval."
        if found.holds
        else "the prediction lies outside. Other sampling settings than those of the labels, partial rewards and a "
        "policy that learns within these steps move the share; the interval leaves out the error of the labels."
    )
    interval = f"{numbers.percent(found.lo, 0)} to {numbers.percent(found.hi, 0)}"
    return (
        f"Predicted for a shuffle: {numbers.percent(found.predicted, 0)} dead groups. In its first "
        f"{found.n_steps} steps {whose} had {numbers.percent(found.real, 0)} of {found.n_groups:,} groups without a "
        f"difference in reward (95 % interval {interval}): {verdict}"
    )
