"""The page of a comparison: the answer in words, the table, the learning curves, how it was counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saerl_core.compare.statistics import RULES, Comparison, Row, Saving, sentence
from saerl_core.compare.trials import Trial, xs
from saerl_core.compare.trials import curve as smoothed_curve
from saerl_core.report import numbers
from saerl_core.report.blocks import Block, Callout, Code, Figure, Section, Table, Text, side_by_side
from saerl_core.report.charts import Series, lines
from saerl_core.report.dots import Estimate, forest
from saerl_core.report.inputs import RunFacts
from saerl_core.report.page import render_sections
from saerl_core.report.trained import MAX_NAMES, colours_of, trained_figure
from saerl_core.report.vega import key_of, line_of
from saerl_core.trained_on import mean_over_seeds

_AXES = {"n_rollouts": "rollouts", "n_tokens": "tokens", "step": "steps", "seconds": "seconds"}


@dataclass(frozen=True)
class ComparisonInputs:
    """What the page is made from. `failures`: arm, seed and reason of each trial that ended without a result."""

    facts: RunFacts
    comparison: Comparison
    trials: Sequence[Trial]
    failures: Sequence[tuple[str, int, str]]
    command: str


def answer_in_words(comparison: Comparison) -> list[str]:
    """Return one sentence an arm, the arms that were told apart first."""
    rows = sorted(comparison.rows[1:], key=lambda row: (row.word == "cannot be told apart", -row.gain.mean))
    return [sentence(row, comparison) for row in rows]


def render_comparison(inputs: ComparisonInputs) -> str:
    """Render the comparison as one self-contained HTML page that loads nothing and reads well without scripts."""
    sections = [_answer(inputs), _table(inputs.comparison), _curves(inputs), *_trained_on(inputs), _method(inputs)]
    seeds = sorted({trial.seed for trial in inputs.trials})
    meta = [
        ("arms", str(len(inputs.comparison.rows)), ""),
        ("seeds", ", ".join(map(str, seeds)), ""),
        ("baseline", inputs.comparison.baseline, ""),
    ]
    return render_sections(inputs.facts, sections, meta)


def _answer(inputs: ComparisonInputs) -> Section:
    blocks: list[Block] = [Text(text, strong=i == 0) for i, text in enumerate(answer_in_words(inputs.comparison))]
    for arm, seed, reason in inputs.failures:
        blocks.append(Callout(f"Arm {arm}, seed {seed} ended without a result: {reason}", "bad"))
    return Section("answer", "What did it buy?", blocks, lead=f"Against {inputs.comparison.baseline}, equal rollouts.")


def _table(comparison: Comparison) -> Section:
    rows = [_cells(row, row is comparison.rows[0]) for row in comparison.rows]
    columns = [
        "arm",
        "verdict",
        "seeds",
        "final",
        "gain [95 %]",
        "p, corrected",
        "area",
        *_AXES.values(),
        "dead groups",
    ]
    caption = (
        f"Final accuracy over {comparison.n_items:,} held-out prompts; area: gain in mean accuracy over the run; "
        "rollouts, tokens, steps and seconds: share of what the baseline spent until its final accuracy was "
        "reached, ≥ where it never was; dead groups: rewards all equal, no gradient."
    )
    table = Table("Against the baseline", columns, rows, 2, caption, strong_rows=frozenset((0,)))
    return Section("table", "Arms", [*_gains(comparison), table])


def _gains(comparison: Comparison) -> list[Block]:
    rows = comparison.rows[1:]
    if not rows:
        return []
    estimates = [Estimate(100 * r.gain.mean, _percentage(r.gain.lo), _percentage(r.gain.hi)) for r in rows]
    chart = forest("gain over the baseline", [r.arm for r in rows], estimates, "gain in points", " points")
    caption = "Points of final accuracy with their 95 % interval; grey reaches across zero."
    return [Figure("Gain over the baseline", chart, caption=caption)]


def _cells(row: Row, is_baseline: bool) -> list[str]:
    if is_baseline:
        savings = [""] * len(_AXES)
        gain, p, area = "", "", ""
    else:
        savings = [_saving(row.saving(axis)) for axis in ("n_rollouts", "n_tokens", "step", "seconds")]
        interval = (
            "" if row.gain.lo is None or row.gain.hi is None else f" [{_points(row.gain.lo)}, {_points(row.gain.hi)}]"
        )
        gain = f"{_points(row.gain.mean)}{interval}"
        p = "" if row.adjusted_p is None else f"{row.adjusted_p:.3f}"
        area = _points(row.area_gain.mean)
    dead = "" if row.zero_std_frac is None else numbers.percent(row.zero_std_frac, 0)
    word = "baseline" if is_baseline else row.word
    return [row.arm, word, str(row.n_seeds), numbers.percent(row.accuracy), gain, p, area, *savings, dead]


def comparison_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row an arm with the figures of the page, as numbers."""
    rows = []
    for row in comparison.rows:
        found: dict[str, object] = {
            "arm": row.arm,
            "n_seeds": row.n_seeds,
            "accuracy": row.accuracy,
            "gain": row.gain.mean,
            "gain_lo": row.gain.lo,
            "gain_hi": row.gain.hi,
            "adjusted_p": row.adjusted_p,
            "verdict": row.word,
            "area_gain": row.area_gain.mean,
            "zero_std_frac": row.zero_std_frac,
            "label_rollouts": row.label_rollouts,
        }
        for saving in row.savings:
            found |= {f"{saving.axis}_ratio": saving.ratio, f"{saving.axis}_reached": saving.reached}
        rows.append(found)
    return pd.DataFrame(rows).astype({"gain_lo": "float64", "gain_hi": "float64", "adjusted_p": "float64"})


def _points(value: float) -> str:
    return f"{value * 100:+.1f}"


def _saving(saving: Saving) -> str:
    interval = "" if saving.lo is None or saving.hi is None else f" [{saving.lo:.0%}, {saving.hi:.0%}]"
    return f"{saving.ratio:.0%}{interval}" if saving.reached else f"≥ {saving.ratio:.0%}"


def _percentage(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _curves(inputs: ComparisonInputs) -> Section:
    series: list[Series] = []
    for i, row in enumerate(inputs.comparison.rows):
        own = [trial for trial in inputs.trials if trial.arm == row.arm]
        n = min(len(trial.curve) for trial in own)
        x = np.mean([xs(trial, "n_rollouts")[:n] for trial in own], axis=0)
        y = np.stack([smoothed_curve(trial)[:n] for trial in own])
        low, high = (y.min(axis=0).tolist(), y.max(axis=0).tolist()) if len(own) > 1 else ((), ())
        css, dash = line_of(i)
        series.append(Series(row.arm, x.tolist(), y.mean(axis=0).tolist(), css, low, high, dash))
    chart = lines("learning curves", series, "generated rollouts, labels included", size=(960, 380), as_share=True)
    keys = [(key_of(one.css, one.dash), one.name) for one in series]
    caption = (
        "Mean over the seeds, smoothed over three evaluations; the band holds every seed. A curve that starts late "
        "paid for labels first."
    )
    return Section("curves", "Learning curves", [Figure("Accuracy over rollouts", chart, keys, caption)])


def _trained_on(inputs: ComparisonInputs) -> list[Section]:
    """Draw what every arm was trained on, a row of charts a kind; an arm without an order of its own is flat."""
    blocks: list[Block] = []
    means = {
        row.arm: mean_over_seeds([trial.trained_on for trial in inputs.trials if trial.arm == row.arm])
        for row in inputs.comparison.rows
    }
    for kind in ("level", "topic", "cluster"):
        colours = colours_of(list(means.values()), kind)
        figures = [trained_figure(table, kind, f"{arm}, by {kind}", colours) for arm, table in means.items()]
        blocks += side_by_side(*(figure for figure in figures if figure is not None))
    if not blocks:
        return []
    lead = (
        "Share of the groups that reached the loss, in tenths of the training, mean over the seeds. A name has the "
        f"same colour in every chart; all beside the {MAX_NAMES} most frequent, and what an arm rarely saw, is in grey."
    )
    return [Section("trained", "What was trained on", blocks, lead=lead)]


def _method(inputs: ComparisonInputs) -> Section:
    return Section("method", "How it was counted", [Text(RULES), Code("The exact command", inputs.command)])
