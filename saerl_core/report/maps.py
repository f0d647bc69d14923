"""The two charts of our own trade: the map of the clusters, and the plan drawn over its steps."""

import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from saerl_core.report import numbers
from saerl_core.report.charts import Cell, finite, layered, nearest, painted, span, table, tooltips, x_of, y_of
from saerl_core.report.vega import WIDE, Chart, colour, finish, paint

_MAP_LIMIT = 2000  # points on the map; beyond that an even sample is drawn
_TEXT_LIMIT = 120  # characters of a prompt on the map
_COLUMN_LIMIT = 150  # columns of the plan; longer plans are drawn in runs of steps
# Colour and shape together tell 32 clusters apart, also without colour vision.
_SHAPES = ("circle", "square", "triangle-up", "diamond")


def cluster_map(
    title: str,
    points: Sequence[tuple[float, float, int]],
    names: Mapping[int, str],
    texts: Sequence[str] = (),
) -> Chart:
    """Draw the prompts of a sample in two dimensions, coloured by cluster, with the number at each cluster's middle.

    `texts`: the prompt of each point, or empty where it is not known.
    """
    told = [*texts, *[""] * (len(points) - len(texts))]
    found = [(*p, t) for p, t in zip(points, told, strict=True) if math.isfinite(p[0]) and math.isfinite(p[1])]
    found = found[:: max(1, math.ceil(len(found) / _MAP_LIMIT))]
    rows: list[dict[str, Cell]] = [
        {
            "x": finite(x),
            "y": finite(y),
            "c": paint(colour(cluster)),
            "s": _SHAPES[cluster // 8 % len(_SHAPES)],
            "n": names.get(cluster, f"cluster {cluster}"),
            "p": numbers.short(text, _TEXT_LIMIT) or numbers.DASH,
        }
        for x, y, cluster, text in found
    ]
    middles: list[dict[str, Cell]] = []
    for cluster in sorted({f[2] for f in found}):
        x, y = np.median([f[:2] for f in found if f[2] == cluster], axis=0)
        middles.append({"x": finite(float(x)), "y": finite(float(y)), "t": str(cluster)})
    across = x_of("x", "", span([f[0] for f in found])).axis(None)
    up = y_of("y", "", span([f[1] for f in found])).axis(None)
    marks = table(rows).encode(
        x=across, y=up, color=painted(), shape=alt.Shape("s:N", scale=None, legend=None), tooltip=_map_tips()
    )
    label = table(middles).encode(x=across, y=up, text=alt.Text("t:N"))
    halo = label.mark_text(fontSize=15, fontWeight="bold", color=paint("panel"), stroke=paint("panel"), strokeWidth=4)
    number = label.mark_text(fontSize=15, fontWeight="bold", color=paint("ink"))
    layers = layered(marks.mark_point(filled=True, size=26, opacity=0.62), halo, number)
    return finish(layers, title, len(rows), (WIDE, 440))


def _map_tips() -> list[alt.Tooltip]:
    return tooltips([("p", "prompt"), ("n", "in")])


def plan_clusters(title: str, plan: pd.DataFrame, names: Mapping[int, str]) -> Chart:
    """Draw one row a cluster and one column a step: the fuller the cell, the larger its share of the batch."""
    width = _run_length(plan)
    n_steps = int(plan["step"].max()) + 1
    columns = plan.assign(column=plan["step"] // width).groupby("column")
    clusters = [int(c) for c in sorted(plan["cluster_id"].unique())]
    rows: list[dict[str, Cell]] = []
    for column, batch in columns:
        start, end = int(str(column)) * width, min((int(str(column)) + 1) * width, n_steps)
        where = f"{start}" if end - start == 1 else f"{start} to {end - 1}"
        hard = numbers.fixed(float(batch["difficulty"].mean())) if "difficulty" in batch else numbers.DASH
        for cluster, n in batch["cluster_id"].value_counts().sort_index().items():
            row, share = clusters.index(int(str(cluster))), n / len(batch)
            name = names.get(int(str(cluster)), "no cluster" if int(str(cluster)) < 0 else f"cluster {cluster}")
            place: dict[str, Cell] = {"a": start, "b": end, "y": row + 0.06, "z": row + 0.94}
            look: dict[str, Cell] = {"c": paint(colour(max(int(str(cluster)), 0))), "o": round(0.15 + 0.85 * share, 2)}
            told = f"{numbers.percent(share, 0)}, {n:,} of {len(batch):,} prompts"
            rows.append({**place, **look, "w": where, "n": name, "t": told, "d": hard})
    row_px = max(7, min(18, 420 // max(len(clusters), 1)))
    every = max(1, math.ceil(9 / row_px))
    shown = [i for i in range(len(clusters)) if i % every == 0]
    ticks = alt.Axis(
        values=[i + 0.5 for i in shown], grid=False, labelOverlap=False, labelExpr=_cluster_labels(clusters)
    )
    base = table(rows).encode(
        x=x_of("a", "step", (0, n_steps)),
        y=y_of("y", "cluster", (len(clusters), 0)).axis(ticks),
        color=painted(),
        opacity=alt.Opacity("o:Q", scale=None),
        tooltip=tooltips([("w", "step"), ("t", "share"), ("n", "of"), ("d", "mean difficulty of the batch")]),
    )
    cells = base.mark_rect().encode(x2=alt.X2("b:Q"), y2=alt.Y2("z:Q"))
    return finish(layered(cells), title, len(rows), (WIDE, row_px * len(clusters) + 50))


def _cluster_labels(clusters: Sequence[int]) -> str:
    """Return the expression that writes a row's number on the axis."""
    return f"{['none' if c < 0 else str(c) for c in clusters]}[floor(datum.value)]"


def plan_difficulty(title: str, plan: pd.DataFrame, observed: pd.DataFrame | None) -> Chart:
    """Draw the mean difficulty of each batch with its range, and the share of wrong answers that training then saw."""
    by_step = plan.groupby("step")["difficulty"].agg(["min", "max", "mean"])
    wrong = {} if observed is None else dict(zip(observed["step"], observed["wrong"], strict=True))
    rows: list[dict[str, Cell]] = []
    for step, row in by_step.iterrows():
        seen = float(wrong.get(step, math.nan))
        told = f"{numbers.fixed(row['mean'])}, from {numbers.fixed(row['min'])} to {numbers.fixed(row['max'])}"
        place: dict[str, Cell] = {"x": int(str(step)), "y": finite(row["mean"]), "v": finite(seen)}
        rows.append({**place, "l": finite(row["min"]), "h": finite(row["max"]), "t": told, "w": numbers.percent(seen)})
    bounds = (0.0, max(float(by_step.index.max()), 1.0))
    base = table(rows).encode(x=x_of("x", "step", bounds), y=y_of("y", "difficulty", (0, 1)))
    band = base.mark_area(color=paint("c0"), opacity=0.16).encode(y=alt.Y("l:Q"), y2=alt.Y2("h:Q"))
    layers = [band, base.mark_line(color=paint("c0"), strokeWidth=2)]
    tips = [("x", "step"), ("t", "planned difficulty")]
    if wrong:
        layers.append(base.mark_line(color=paint("c1"), strokeWidth=2).encode(y=alt.Y("v:Q")))
        tips.append(("w", "wrong in training"))
    point = nearest(base.encode(color=alt.value(paint("c0"))), tips)
    return finish(layered(*layers, point), title, len(rows), (WIDE, 260))


def _run_length(plan: pd.DataFrame) -> int:
    """Return how many steps one column of the plan's drawing covers."""
    return max(1, math.ceil((int(plan["step"].max()) + 1) / _COLUMN_LIMIT))
