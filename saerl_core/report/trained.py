"""What was trained on over time, drawn: one line a topic, level or cluster."""

import pandas as pd

from saerl_core.report.blocks import Figure
from saerl_core.report.charts import Series, lines
from saerl_core.report.vega import colour
from saerl_core.trained_on import OTHER


def trained_figure(table: pd.DataFrame, kind: str, title: str) -> Figure | None:
    """Return the chart of one kind of `TRAINED_ON`; None where the table does not have it."""
    rows = table[table["kind"] == kind]
    if rows.empty:
        return None
    parts = int(rows["part"].max()) + 1
    series = [
        Series(
            f"{kind} {value}" if value != OTHER else OTHER,
            [100 * (float(part) + 0.5) / parts for part in own["part"]],
            [float(share) for share in own["share"]],
            colour(i),
        )
        for i, (value, own) in enumerate(rows.sort_values("part").groupby("value"))
    ]
    chart = lines(title, series, "% of the training", y_range=(0.0, None), as_share=True)
    return Figure(title, chart, [(s.css, s.name) for s in series])
