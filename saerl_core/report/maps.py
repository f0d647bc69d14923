"""The two charts of our own trade: the map of the clusters, and the plan drawn over its steps."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import escape

from saerl_core.report import numbers
from saerl_core.report.svg import Canvas, Chart, Frame, colour, span

_MAP_LIMIT = 2500  # points on the map; beyond that an even sample is drawn
_COLUMN_LIMIT = 150  # columns of the plan; longer plans are drawn in runs of steps
_SHAPES = (  # relative paths of one mark: colour and shape together tell 32 clusters apart, also without colour vision
    "m-2.4 0a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0-4.8 0z",
    "m-2.1-2.1h4.2v4.2h-4.2z",
    "m0-2.9l2.7 4.9h-5.4z",
    "m0-3l3 3l-3 3l-3-3z",
)


def cluster_map(title: str, points: Sequence[tuple[float, float, int]], names: Mapping[int, str]) -> Chart:
    """Draw the prompts of a sample in two dimensions, coloured by cluster, with the number at each cluster's middle."""
    rows = [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])]
    rows = rows[:: max(1, math.ceil(len(rows) / _MAP_LIMIT))]
    x_lo, x_hi = span([r[0] for r in rows])
    y_lo, y_hi = span([r[1] for r in rows])
    frame = Frame(
        x_lo, x_hi, y_lo, y_hi, x_ticks=(), y_ticks=(), width=960, height=440, left=8, right=8, bottom=8, top=8
    )
    canvas = Canvas(frame, title)
    by_cluster: dict[int, list[tuple[float, float]]] = {}
    for x, y, cluster in rows:
        by_cluster.setdefault(cluster, []).append((canvas.x(x), canvas.y(y)))
    for cluster, marks in sorted(by_cluster.items()):
        shape = _SHAPES[cluster // 8 % len(_SHAPES)]
        path = "".join(f"M{x:.1f} {y:.1f}{shape}" for x, y in marks)
        tip = escape(names.get(cluster, f"cluster {cluster}"))
        canvas.raw(f'<path class="mark {colour(cluster)}" d="{path}"><title>{tip}</title></path>', len(marks))
    for cluster, marks in sorted(by_cluster.items()):
        x, y = np.median(np.asarray(marks), axis=0)
        canvas.text(float(x), float(y) + 5, str(cluster), anchor="middle", css="halo")
    return canvas.finish()


def plan_clusters(title: str, plan: pd.DataFrame, names: Mapping[int, str]) -> Chart:
    """Draw one row a cluster and one column a step: the fuller the cell, the larger its share of the batch."""
    width = _run_length(plan)
    counts = (
        plan.assign(column=plan["step"] // width)
        .groupby(["cluster_id", "column"])
        .size()
        .unstack("column", fill_value=0)
    )
    shares = counts / counts.sum(axis=0)
    clusters = [int(c) for c in shares.index]
    row_px = max(7, min(18, 420 // max(len(clusters), 1)))
    height = row_px * len(clusters) + 50
    n_steps = int(plan["step"].max()) + 1
    every = max(1, math.ceil(9 / row_px))
    y_ticks = [(i + 0.5, "none" if c < 0 else str(c)) for i, c in enumerate(clusters) if i % every == 0]
    frame = Frame(0, n_steps, len(clusters), 0, "step", "cluster", y_ticks=y_ticks, width=960, height=height, top=8)
    canvas = Canvas(frame, title)
    canvas.axes(grid_y=False)
    for row, cluster in enumerate(clusters):
        name = names.get(cluster, "no cluster" if cluster < 0 else f"cluster {cluster}")
        for column, share in shares.iloc[row].items():
            if share <= 0:
                continue
            start, end = int(str(column)) * width, min((int(str(column)) + 1) * width, n_steps)
            where = f"step {start}" if end - start == 1 else f"steps {start} to {end - 1}"
            tip = f"{where}: {numbers.percent(float(share), 0)} {name}"
            canvas.box(
                start, end, row + 0.06, row + 0.94, colour(max(cluster, 0)), tip, f"opacity:{0.15 + 0.85 * share:.2f}"
            )
    return canvas.finish()


def plan_difficulty(title: str, plan: pd.DataFrame, observed: pd.DataFrame | None) -> Chart:
    """Draw the mean difficulty of each batch with its range, and the share of wrong answers that training then saw."""
    by_step = plan.groupby("step")["difficulty"].agg(["min", "max", "mean"])
    steps = [float(s) for s in by_step.index]
    frame = Frame(0, max(steps[-1], 1.0), 0, 1, "step", "difficulty", width=960, height=260)
    canvas = Canvas(frame, title)
    canvas.axes()
    canvas.band(steps, list(by_step["min"]), list(by_step["max"]), "c0", "easiest to hardest prompt of the batch")
    canvas.line(steps, list(by_step["mean"]), "c0", "mean planned difficulty")
    for step, low, high, mean in zip(steps, by_step["min"], by_step["max"], by_step["mean"], strict=True):
        tip = f"step {step:.0f}: mean {mean:.2f}, from {low:.2f} to {high:.2f}"
        canvas.hover(step, mean, tip)
    if observed is not None and len(observed):
        canvas.line(
            [float(v) for v in observed["step"]], [float(v) for v in observed["wrong"]], "c1", "share wrong in training"
        )
    return canvas.finish()


def _run_length(plan: pd.DataFrame) -> int:
    """Return how many steps one column of the plan's drawing covers."""
    return max(1, math.ceil((int(plan["step"].max()) + 1) / _COLUMN_LIMIT))
