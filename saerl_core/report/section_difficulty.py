"""The section about difficulty: what was measured, what was predicted, and how the two agree."""

import numpy as np
import pandas as pd

from saerl_core.report import facts, numbers
from saerl_core.report.blocks import Block, Figure, Missing, Section, Text, figure_or_missing, side_by_side
from saerl_core.report.charts import histogram
from saerl_core.report.dots import scatter
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.section_advice import advice_blocks

_MAX_SCATTER = 1500
_MAX_BINS = 20


def difficulty(inputs: ReportInputs) -> Section:
    """Build the section on difficulty: what was measured, what was predicted, and how the two agree."""
    table = inputs.difficulty
    label = facts.LABEL_NAMES[inputs.difficulty_report.label]
    measured = table[table["is_labelled"]]
    words = _pass_rate_words(inputs)
    why = f"Pass rates: no rollouts were spent on labels in this run; difficulty comes from the {label}."
    blocks: list[Block] = [Text(words, strong=True) if words else Missing(why)]
    blocks.extend(side_by_side(_distribution(inputs, measured, label), _agreement(inputs, measured, label)))
    blocks.extend(advice_blocks(inputs))
    return Section("difficulty", "Difficulty", blocks, lead=_lead(inputs, len(measured), label))


def _lead(inputs: ReportInputs, n_labelled: int, label: str) -> str:
    n, kind = len(inputs.difficulty), inputs.difficulty_report.label
    if kind == "none":
        return f"No prompt has a label: all {n:,} stand in the middle, and no order rests on it."
    if kind == "likelihood":
        return (
            f"0 is easy, 1 is hard: the place of each of the {n:,} prompts in the order of the {label}. None is "
            "labelled and none is predicted."
        )
    keeps = " A labelled prompt keeps its label." if n_labelled else ""
    return (
        f"0 is easy, 1 is hard, from the {label}: known for {n_labelled:,} labelled prompts, predicted for all "
        f"{n:,}.{keeps}"
    )


def _distribution(inputs: ReportInputs, measured: pd.DataFrame, label: str) -> Figure | Missing:
    """Draw how difficulty is spread; a rank is spread evenly by its making, and a middle not at all."""
    table, kind = inputs.difficulty, inputs.difficulty_report.label
    if kind == "likelihood":
        return Missing(
            "Distribution: difficulty is a rank here, spread evenly from 0 to 1 whatever the prompts are; how far one "
            "prompt is from the next it does not say."
        )
    if kind == "none":
        return Missing("Distribution: every prompt has the same difficulty, because none has a label.")
    found = [
        ("predicted, whole pool", list(table["predicted"]), "c0"),
        (f"from the {label}, labelled prompts", list(measured["difficulty"]), "c1"),
    ]
    groups = [g for g in found if g[1]]
    n_bins = _n_bins(inputs, measured)
    chart = histogram("difficulty", groups, "difficulty (1 is hardest)", bounds=(0.0, 1.0), n_bins=n_bins)
    keys = [(css, f"{name} (n = {len(v):,})") for name, v, css in groups]
    return figure_or_missing(Figure("Distribution", chart, keys), "no difficulty was predicted.")


def _n_bins(inputs: ReportInputs, measured: pd.DataFrame) -> int:
    """Return so many bins that each possible label has its own: k of n rollouts falls in bin k of n + 1."""
    if inputs.pass_rates is not None and len(inputs.pass_rates):
        return min(_MAX_BINS, int(inputs.pass_rates["n_rollouts"].max()) + 1)
    n_labels = int(measured["difficulty"].nunique())
    return n_labels if 3 <= n_labels <= _MAX_BINS else _MAX_BINS


def _agreement(inputs: ReportInputs, measured: pd.DataFrame, label: str) -> Figure | Missing:
    rows = measured.dropna(subset=["predicted", "difficulty"]).sort_values("prompt_id")
    rows = rows.iloc[:: max(1, -(-len(rows) // _MAX_SCATTER))]
    texts = inputs.train.set_index("prompt_id")["prompt"].reindex(rows["prompt_id"]).fillna("")
    points = [
        (float(p), float(d), str(t)) for p, d, t in zip(rows["predicted"], rows["difficulty"], texts, strict=True)
    ]
    curve = _bin_means(rows["predicted"].to_numpy(), rows["difficulty"].to_numpy())
    chart = scatter("predicted and measured", points, "predicted (label not seen)", f"from the {label}", curve=curve)
    keys = [("c0", "one prompt"), ("c1", "mean of each fifth"), ("mute", "prediction = measurement")]
    return figure_or_missing(Figure("Predicted against measured", chart, keys), "no prompt has a measured difficulty.")


def _bin_means(x: np.ndarray, y: np.ndarray, n_bins: int = 5) -> list[tuple[float, float]]:
    """Return (mean x, mean y) of bins of equal count along x; none with fewer than four points a bin."""
    if len(x) < 4 * n_bins:
        return []
    parts = np.array_split(np.argsort(x, kind="stable"), n_bins)
    return [(float(x[p].mean()), float(y[p].mean())) for p in parts]


def _pass_rate_words(inputs: ReportInputs) -> str:
    rates = inputs.pass_rates
    if rates is None or rates.empty:
        return ""
    wrong, right = float((rates["n_correct"] == 0).mean()), float((rates["n_correct"] == rates["n_rollouts"]).mean())
    n_band = int(inputs.difficulty["difficulty"].between(0.2, 0.8).sum())
    text = (
        f"{len(rates):,} labelled prompts, {int(rates['n_rollouts'].sum()):,} graded rollouts: "
        f"{numbers.percent(wrong, 0)} never solved, {numbers.percent(right, 0)} always, mean pass rate "
        f"{numbers.percent(float(rates['pass_rate'].mean()), 0)}. By prediction "
        f"{n_band:,} of {len(inputs.difficulty):,} prompts lie in the band of 20 to 80 % that teaches most."
    )
    n_unknown = int(rates["n_unknown"].sum())
    return text + (
        f" {n_unknown:,} answers could not be graded; they count as neither right nor wrong." if n_unknown else ""
    )
