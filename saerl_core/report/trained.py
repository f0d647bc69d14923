"""What was trained on over time, drawn: one line a topic, level or cluster."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from saerl_core.report.blocks import Figure
from saerl_core.report.charts import Series, lines
from saerl_core.report.vega import N_COLOURS, colour
from saerl_core.trained_on import OTHER

_GREY = "mute"
MAX_NAMES = N_COLOURS - 1  # the last colour is a grey, and grey is "other"


def colours_of(tables: Sequence[pd.DataFrame], kind: str) -> dict[str, str]:
    """Return one colour class for each value of a kind in all `TRAINED_ON` tables together, in the order of the legend.

    There are as many as there are colours, those of the largest share; the rest, and what a table calls other, is grey.
    """
    rows = pd.concat([table[table["kind"] == kind] for table in tables])
    shares = rows[rows["value"] != OTHER].groupby("value")["share"].sum()
    most = shares.sort_index().sort_values(ascending=False, kind="stable").index[:MAX_NAMES]
    return {value: colour(i) for i, value in enumerate(sorted(map(str, most), key=_by_number))} | {OTHER: _GREY}


def _by_number(value: str) -> tuple[float, str]:
    """Sort numbers by size and before names."""
    try:
        return float(value), value
    except ValueError:
        return math.inf, value


def trained_figure(
    table: pd.DataFrame, kind: str, title: str, colours: Mapping[str, str] | None = None
) -> Figure | None:
    """Return the chart of one kind of `TRAINED_ON`; None where the table does not have it.

    `colours`: those of a chart beside it (`colours_of`), by default the table's own. What has none is in "other".
    """
    rows = table[table["kind"] == kind]
    if rows.empty:
        return None
    colours = colours_of([table], kind) if colours is None else colours
    parts = int(rows["part"].max()) + 1
    named = rows.assign(value=rows["value"].where(rows["value"].isin(list(colours)), OTHER))
    shares = named.groupby(["value", "part"])["share"].sum()
    series = [
        Series(
            f"{kind} {value}" if value != OTHER else OTHER,
            [100 * (float(part) + 0.5) / parts for part in shares[value].index],
            [float(share) for share in shares[value]],
            css,
        )
        for value, css in colours.items()
        if value in shares.index.get_level_values("value")
    ]
    chart = lines(title, series, "% of the training", y_range=(0.0, None), as_share=True)
    return Figure(title, chart, [(s.css, s.name) for s in series])
