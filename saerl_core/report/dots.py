"""The charts of single values: predicted against measured, before and after, gains with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from saerl_core.report import numbers
from saerl_core.report.charts import (
    ROW_PX,
    Cell,
    finite,
    layered,
    painted,
    row_names,
    rows_of,
    span,
    table,
    tooltips,
    x_of,
    y_of,
)
from saerl_core.report.vega import NARROW, WIDE, Chart, finish, paint

_APART_PX = 4  # whiskers of one row must not hide each other


@dataclass(frozen=True)
class Interval:
    """A value with its standard error."""

    value: float
    stderr: float


@dataclass(frozen=True)
class Estimate:
    """A value with the bounds of its interval; None where there is no interval."""

    value: float
    low: float | None
    high: float | None


def scatter(
    title: str,
    points: Sequence[tuple[float, float, str]],
    x_label: str,
    y_label: str,
    *,
    curve: Sequence[tuple[float, float]] = (),
) -> Chart:
    """Draw points (x, y, what it is) in the unit square with its diagonal and an optional curve of bin means."""
    known = [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])]
    x, y = x_of("x", x_label, (0, 1), grid=True), y_of("y", y_label, (0, 1))
    tips = [("n", "what"), ("p", x_label), ("q", y_label)]
    diagonal = table([{"x": 0, "y": 0}, {"x": 1, "y": 1}]).mark_line(color=paint("mute"), strokeDash=[5, 4])
    layers = [diagonal.encode(x=x, y=y)]
    for rows, css, size, faint in (
        ([(*p[:2], numbers.short(p[2], 120)) for p in known], "c0", 30, 0.42),
        ([(*c, "mean of each fifth") for c in curve], "c1", 70, 1.0),
    ):
        cells: list[dict[str, Cell]] = [
            {"x": finite(a), "y": finite(b), "n": name, "p": numbers.fixed(a), "q": numbers.fixed(b)}
            for a, b, name in rows
        ]
        base = table(cells).encode(x=x, y=y)
        if css == "c1":
            layers.append(base.mark_line(color=paint(css), strokeWidth=2))
        layers.append(
            base.mark_point(filled=True, size=size, opacity=faint, color=paint(css)).encode(tooltip=tooltips(tips))
        )
    return finish(layered(*layers), title, len(known) + len(curve), (NARROW, 300))


def before_after(
    title: str,
    labels: Sequence[str],
    before: Sequence[Interval | None],
    after: Sequence[Interval | None],
    x_label: str,
    *,
    names: tuple[str, str] = ("before", "after"),
) -> Chart:
    """Draw one row a slice: two values with whiskers of one standard error, joined by a line."""
    known = [i for i in (*before, *after) if i is not None and math.isfinite(i.value)]
    high = min(1.0, max((i.value + _error(i) for i in known), default=1.0) * 1.1 + 0.02)
    rows = row_names(labels)
    x = x_of("a", x_label, (0, high), grid=True, as_share=True)
    joined: list[dict[str, Cell]] = [
        {"r": row, "a": finite(old.value), "b": finite(new.value)}
        for row, old, new in zip(rows, before, after, strict=True)
        if old is not None and new is not None
    ]
    thin = table(joined).mark_rule(color=paint("mute"), strokeWidth=1.2, opacity=0.7)
    layers = [thin.encode(x=x, x2=alt.X2("b:Q"), y=rows_of(rows))]
    apart = _APART_PX if any(_error(i) > 0 for i in known) else 0
    for name, found, css, offset in ((names[0], before, "c7", -apart), (names[1], after, "c0", apart)):
        cells = _share_cells(name, labels, found, high)
        base = table(cells).encode(y=rows_of(rows))
        whisker = base.mark_rule(color=paint(css), strokeWidth=2, opacity=0.55, yOffset=offset, y2Offset=offset)
        dot = base.mark_point(color=paint(css), filled=True, size=70, opacity=1, yOffset=offset)
        tips = tooltips([("f", "of"), ("n", "when"), ("t", "value")])
        layers += [whisker.encode(x=_over(x, "l"), x2=alt.X2("h:Q")), dot.encode(x=x, tooltip=tips)]
    return finish(layered(*layers), title, len(known), (NARROW, ROW_PX * len(labels) + 52))


def _share_cells(
    name: str, labels: Sequence[str], found: Sequence[Interval | None], high: float
) -> list[dict[str, Cell]]:
    """Return one cell a slice that has a value: the value, the ends of its whisker within 0 and `high`, its words."""
    return [
        {
            "r": row,
            "n": name,
            "f": numbers.short(label, 120),
            "a": finite(one.value),
            "l": finite(max(0.0, one.value - _error(one))),
            "h": finite(min(high, one.value + _error(one))),
            "t": f"{numbers.percent(one.value)} ± {numbers.percent(_error(one))}",
        }
        for row, label, one in zip(row_names(labels), labels, found, strict=True)
        if one is not None and math.isfinite(one.value)
    ]


def forest(title: str, labels: Sequence[str], estimates: Sequence[Estimate], x_label: str, unit: str = "") -> Chart:
    """Draw one row a label: the value, its interval, and a dashed line at zero, the level of no effect."""
    rows = row_names(labels)
    bounds = span([0.0, *(v for e in estimates for v in (e.value, e.low, e.high) if v is not None)])
    x = x_of("a", x_label, bounds, grid=True)
    cells: list[dict[str, Cell]] = [
        {
            "r": row,
            "f": numbers.short(label, 120),
            "a": finite(e.value),
            "l": finite(e.value if e.low is None else e.low),
            "h": finite(e.value if e.high is None else e.high),
            "t": _told(e, unit),
            "c": paint(_verdict(e)),
        }
        for row, label, e in zip(rows, labels, estimates, strict=True)
        if math.isfinite(e.value)
    ]
    base = table(cells).encode(y=rows_of(rows), color=painted())
    tips = tooltips([("f", "of"), ("t", x_label)])
    zero = table([{"a": 0}]).mark_rule(color=paint("ink"), strokeDash=[4, 3], opacity=0.6).encode(x=x)
    whisker = base.mark_rule(strokeWidth=2).encode(x=_over(x, "l"), x2=alt.X2("h:Q"), tooltip=tips)
    dot = base.mark_point(filled=True, size=80, opacity=1).encode(x=x, tooltip=tips)
    return finish(layered(zero, whisker, dot), title, len(cells), (WIDE, ROW_PX * len(labels) + 52))


def _verdict(estimate: Estimate) -> str:
    """Return the colour class of an interval: above zero, below zero, or neither."""
    if estimate.low is None or estimate.high is None or estimate.low <= 0 <= estimate.high:
        return "c7"
    return "c2" if estimate.low > 0 else "c1"


def _told(estimate: Estimate, unit: str) -> str:
    text = f"{numbers.number(estimate.value)}{unit}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{numbers.number(estimate.low)}, {numbers.number(estimate.high)}]"


def _over(x: alt.X, field: str) -> alt.X:
    """Return the same axis over another field."""
    other = x.copy()
    other.shorthand = f"{field}:Q"
    return other


def _error(interval: Interval) -> float:
    return interval.stderr if math.isfinite(interval.stderr) else 0.0
