"""What an online strategy expected of the prompts that it chose, against what training saw: part of the training."""

import numpy as np
import pandas as pd

from saerl_core import forecasts
from saerl_core.report import numbers
from saerl_core.report.blocks import Block, Figure, Text, figure_or_missing, side_by_side
from saerl_core.report.charts import Series, lines, scatter
from saerl_core.report.inputs import TrainingFacts

_MAX_POINTS, _N_BINS = 1500, 5


def forecast_blocks(run: TrainingFacts) -> list[Block]:
    """Return the sentence and the two figures; nothing where the strategy predicts nothing."""
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
    ]


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
        (float(p), float(r), f"step {s}: predicted {p:.2f}, observed {r:.2f}")
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
