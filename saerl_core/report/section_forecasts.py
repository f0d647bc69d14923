"""What an online strategy expected of the prompts that it chose, against what training saw: part of the training."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from saerl_core import forecasts
from saerl_core.report import numbers
from saerl_core.report.blocks import Block, Figure, Table, Text, figure_or_missing, side_by_side
from saerl_core.report.charts import Series, lines
from saerl_core.report.dots import scatter
from saerl_core.report.inputs import TrainingFacts

_MAX_POINTS, _N_BINS, _MAX_CHARS = 1500, 5, 60


def forecast_blocks(run: TrainingFacts, prompts: pd.DataFrame) -> list[Block]:
    """Return the sentence, the two figures and why prompts were taken; nothing where the strategy predicts nothing."""
    rows = forecasts.forecasts(run.handed_out, run.consumed)
    if rows.empty:
        return []
    by_step = forecasts.brier_by_step(rows)
    series = Series("Brier score", [float(s) for s in by_step], list(by_step.values()), "c0")
    error = lines("Brier score by step", [series], "step", y_range=(0.0, None), smooth=5)
    caption = "0.25 is what a coin would get. Prompts near a pass rate of 50 % are the hardest to foresee."
    return [
        Text(_words(rows)),
        *side_by_side(
            _reliability(rows), figure_or_missing(Figure("Brier score by step", error, caption=caption), "no step.")
        ),
        *_reasons(run, prompts),
    ]


def _reasons(run: TrainingFacts, prompts: pd.DataFrame) -> list[Block]:
    """Say of a batch in the beginning, the middle and the end why each prompt was taken, where the strategy says it."""
    told = run.handed_out[run.handed_out["why"].fillna("") != ""]
    if told.empty:
        return []
    counts = ", ".join(f"{n:,} {why}" for why, n in told["why"].value_counts().items())
    new = float((told["n_seen"] == 0).mean())
    steps = sorted(set(told["step"]))
    shown = told[told["step"].isin({steps[0], steps[len(steps) // 2], steps[-1]})]
    texts = prompts.set_index("prompt_id")["prompt"]
    joined = shown.merge(run.consumed[["step", "slot", "n_rollouts", "n_correct"]], on=["step", "slot"], how="left")
    rows = [_reason(r, texts) for r in joined.sort_values(["step", "slot"]).to_dict("records")]
    columns = ["step", "prompt", "taken because", "predicted rate ± sd", "rollouts seen before", "right"]
    caption = f"Of all choices: {counts}; {numbers.percent(new, 0)} of the prompts had never been tried."
    return [Table("Why these prompts: a first, a middle and a last batch", columns, rows, 3, caption, folded=True)]


def _reason(row: dict[Hashable, Any], texts: pd.Series) -> list[str]:
    return [
        str(row["step"]),
        _cut(str(texts.get(row["prompt_id"], row["prompt_id"]))),
        str(row["why"]),
        f"{row['predicted']:.2f} ± {row['sd']:.2f}",
        f"{row['n_seen']:.0f}",
        f"{row['n_correct']:.0f} of {row['n_rollouts']:.0f}",
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"


def _words(rows: pd.DataFrame) -> str:
    own, mean = forecasts.brier_score(rows), forecasts.brier_of_the_mean(rows)
    better = "better than" if own < mean else "no better than"
    return (
        f"The strategy predicted the pass rate of each of its {len(rows):,} choices. The Brier score of its "
        f"predictions is {numbers.fixed(own, 3)} (0 is perfect), {better} that of the mean of all choices in "
        f"hindsight, {numbers.fixed(mean, 3)}."
    )


def _reliability(rows: pd.DataFrame) -> Figure:
    shown = rows.iloc[:: max(1, -(-len(rows) // _MAX_POINTS))]
    points = [
        (float(p), float(r), f"a prompt of step {s}")
        for s, p, r in zip(shown["step"], shown["predicted"], shown["observed"], strict=True)
    ]
    chart = scatter("predicted and observed pass rate", points, "predicted", "observed", curve=_fifths(rows))
    keys = [("c0", "one choice"), ("c1", "mean of each fifth"), ("mute", "prediction = observation")]
    return Figure("Predicted against observed pass rate", chart, keys)


def _fifths(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """Return (mean predicted, mean observed) of fifths of the choices along the prediction."""
    ordered = rows.sort_values("predicted", kind="stable")
    parts = np.array_split(ordered[["predicted", "observed"]].to_numpy(), min(_N_BINS, len(ordered)))
    return [(float(part[:, 0].mean()), float(part[:, 1].mean())) for part in parts]
