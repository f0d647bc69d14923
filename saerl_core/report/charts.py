"""The general charts of the page: lines, histograms, stacked bars, scatter, before and after."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from saerl_core.report import numbers
from saerl_core.report.svg import Canvas, Chart, Frame, span, text_width, ticks

_HOVER_LIMIT = 400  # lines with more points carry no tooltip a point: the page stays light
_ROW_PX = 24
_SPELLINGS: dict[str, Callable[[float], str]] = {
    "count": numbers.count,
    "share": numbers.percent,
    "number": numbers.fixed,
    "seconds": numbers.duration,
}


@dataclass(frozen=True)
class Series:
    """One named series; `css` is its colour class."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    css: str


@dataclass(frozen=True)
class Interval:
    """A value with its standard error."""

    value: float
    stderr: float


def lines(
    title: str,
    series: Sequence[Series],
    x_label: str,
    *,
    y_label: str = "",
    y_range: tuple[float | None, float | None] = (None, None),
    smooth: int = 1,
    size: tuple[int, int] = (460, 270),
    as_share: bool = False,
) -> Chart:
    """Draw series over a common axis; with `smooth` > 1 a centred running mean is drawn over pale raw values."""
    xs = [float(v) for s in series for v in s.x]
    ys = [float(v) for s in series for v in s.y]
    x_lo, x_hi = (min(xs, default=0.0), max(xs, default=1.0))
    x_lo, x_hi = (x_lo, x_hi) if x_hi > x_lo else (x_lo - 0.5, x_lo + 0.5)
    y_lo, y_hi = span(ys, lo=y_range[0], hi=y_range[1])
    y_ticks = [(t, f"{100 * t:g} %") for t in ticks(y_lo, y_hi, 4)] if as_share else None
    frame = Frame(x_lo, x_hi, y_lo, y_hi, x_label, y_label, y_ticks=y_ticks, width=size[0], height=size[1])
    canvas = Canvas(frame, title)
    canvas.axes()
    for one in series:
        y = np.asarray(one.y, dtype=np.float64)
        is_smoothed = smooth > 1 and len(y) >= 3 * smooth
        canvas.line(one.x, list(y), f"{one.css} {'pale' if is_smoothed else ''}", one.name)
        if is_smoothed:
            canvas.line(one.x, list(running_mean(y, smooth)), one.css, one.name, data=False)
        if len(y) <= _HOVER_LIMIT:
            for x_one, y_one in zip(one.x, y, strict=True):
                canvas.hover(x_one, float(y_one), f"{one.name}: {numbers.number(float(y_one))} ({x_label} {x_one:g})")
    return canvas.finish()


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the centred running mean over the finite values of each window, shape `n`; NaN where there are none."""
    out = np.full(len(values), np.nan)
    half = window // 2
    for i in range(len(values)):
        part = values[max(0, i - half) : i + half + 1]
        part = part[np.isfinite(part)]
        if len(part):
            out[i] = part.mean()
    return out


def histogram(
    title: str,
    groups: Sequence[tuple[str, Sequence[float], str]],
    x_label: str,
    *,
    bounds: tuple[float, float],
    n_bins: int = 20,
) -> Chart:
    """Draw each group's share a bin: filled bars for the first group, outlines for the others, so that they overlay."""
    edges = np.linspace(bounds[0], bounds[1], n_bins + 1)
    shares: list[np.ndarray] = []
    for _, values, _ in groups:
        finite = np.asarray([v for v in values if math.isfinite(v)], dtype=np.float64)
        heights, _ = np.histogram(finite, bins=edges)
        shares.append(heights / max(len(finite), 1))
    top = max((float(s.max()) for s in shares), default=1.0) or 1.0
    y_ticks = [(t, numbers.percent(t, 0)) for t in ticks(0, top * 1.08, 4)]
    frame = Frame(bounds[0], bounds[1], 0, top * 1.08, x_label, "share of the group", y_ticks=y_ticks)
    canvas = Canvas(frame, title)
    canvas.axes()
    for rank, ((name, _, css), share) in enumerate(zip(groups, shares, strict=True)):
        for low, high, value in zip(edges[:-1], edges[1:], share, strict=True):
            tip = f"{name}: {numbers.percent(float(value))} between {numbers.number(low)} and {numbers.number(high)}"
            if rank == 0:
                canvas.box(float(low), float(high), 0, float(value), f"{css} soft", tip)
            canvas.hover((low + high) / 2, float(value), tip)
        if rank > 0:
            xs = np.repeat(edges, 2)[1:-1]
            canvas.line([float(v) for v in xs], [float(v) for v in np.repeat(share, 2)], css, name)
    return canvas.finish()


def bars(
    title: str,
    labels: Sequence[str],
    stacks: Sequence[tuple[str, Sequence[float], str]],
    x_label: str,
    *,
    high: float | None = None,
    write: str = "count",
    reference: float | None = None,
) -> Chart:
    """Draw horizontal bars from zero, one row a label, its stacks end to end; `write` names the unit.

    A row without a finite value gets a dash. `reference` is a dashed line, such as the level of chance.
    """
    texts = [numbers.short(label, 26) for label in labels]
    totals = [_total(row) for row in zip(*(s[1] for s in stacks), strict=True)]
    spell = _SPELLINGS[write]
    left = _label_px(texts)
    if high is None:
        plot = 460 - left - 14
        room = max((text_width(spell(t)) for t in totals), default=0.0) + 8  # for the value at the bar's end
        high = max((t for t in totals if math.isfinite(t)), default=0.0) * plot / (plot - room) or 1.0
    x_ticks = [(t, numbers.percent(t, 0) if write == "share" else numbers.number(t, 4)) for t in ticks(0, high, 4)]
    height = _ROW_PX * len(labels) + 52
    frame = Frame(0, high, len(labels), 0, x_label, x_ticks=x_ticks, y_ticks=(), height=height, left=left, top=6)
    canvas = Canvas(frame, title)
    canvas.axes(grid_x=True, grid_y=False)
    for row, text in enumerate(texts):
        canvas.text(left - 8, canvas.y(row + 0.5) + 4, text, anchor="end", css="name")
        end = 0.0
        for name, values, css in stacks:
            value = float(values[row])
            if math.isfinite(value):
                tip = f"{labels[row]}, {name}: {spell(value)}"
                canvas.box(end, end + value, row + 0.16, row + 0.84, css, tip)
                end += value
        canvas.text(canvas.x(end) + 5, canvas.y(row + 0.5) + 4, spell(totals[row]), css="value")
    if reference is not None:
        x = canvas.x(reference)
        canvas.raw(f'<path class="reference" d="M{x:.1f} {frame.top}V{height - frame.bottom}"/>')
    return canvas.finish()


def _total(values: Sequence[float]) -> float:
    finite = [float(v) for v in values if math.isfinite(v)]
    return sum(finite) if finite else math.nan


def scatter(
    title: str,
    points: Sequence[tuple[float, float, str]],
    x_label: str,
    y_label: str,
    *,
    curve: Sequence[tuple[float, float]] = (),
) -> Chart:
    """Draw points (x, y, tooltip) in the unit square with its diagonal and an optional curve of bin means."""
    canvas = Canvas(Frame(0, 1, 0, 1, x_label, y_label, height=300), title)
    canvas.axes(grid_x=True)
    canvas.line([0, 1], [0, 1], "mute dashed", "prediction = measurement", data=False)
    for x, y, tip in points:
        canvas.dot(x, y, "c0 soft", tip)
    canvas.line([c[0] for c in curve], [c[1] for c in curve], "c1", "mean of each fifth of the predictions", data=False)
    for x, y in curve:
        canvas.dot(x, y, "c1", f"predicted {x:.2f}: measured {y:.2f} on average", 4.5)
    return canvas.finish()


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
    texts = [numbers.short(label, 26) for label in labels]
    left = _label_px(texts)
    height = _ROW_PX * len(labels) + 52
    x_ticks = [(t, numbers.percent(t, 0)) for t in ticks(0, high, 5)]
    frame = Frame(
        0, high, len(labels), 0, x_label, x_ticks=x_ticks, y_ticks=(), height=height, left=left, right=24, top=6
    )
    canvas = Canvas(frame, title)
    canvas.axes(grid_x=True, grid_y=False)
    apart = 0.09 if any(_error(i) > 0 for i in known) else 0.0  # whiskers of one row must not hide each other
    for row, (text, old, new) in enumerate(zip(texts, before, after, strict=True)):
        canvas.text(left - 8, canvas.y(row + 0.5) + 4, text, anchor="end", css="name")
        if old and new:
            ends = [row + 0.5 - apart, row + 0.5 + apart]
            canvas.line([old.value, new.value], ends, "mute thin", data=False)
        for name, one, css, height_in_row in ((names[0], old, "c7", 0.5 - apart), (names[1], new, "c0", 0.5 + apart)):
            if one is None or not math.isfinite(one.value):
                continue
            error = _error(one)
            tip = f"{labels[row]}, {name}: {numbers.percent(one.value)} ± {numbers.percent(error)}"
            ends = [max(0.0, one.value - error), min(high, one.value + error)]
            canvas.line(ends, [row + height_in_row] * 2, f"{css} whisker", data=False)
            canvas.dot(one.value, row + height_in_row, css, tip, 4.5)
    return canvas.finish()


def _label_px(texts: Sequence[str]) -> int:
    return int(max((text_width(t) for t in texts), default=20) + 16)


def _error(interval: Interval) -> float:
    return interval.stderr if math.isfinite(interval.stderr) else 0.0
