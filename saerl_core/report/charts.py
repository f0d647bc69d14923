"""The general charts of the page: lines, histograms, stacked bars; and the axes that all charts share."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np

from saerl_core.report import numbers
from saerl_core.report.vega import HOVER, NARROW, Chart, Dash, finish, paint

ROW_PX = 24
_LABEL = 26  # characters of a row's label
PERCENT_TICKS = "format(100 * datum.value, ',.4~g') + ' %'"
_SPELLINGS: dict[str, Callable[[float], str]] = {
    "count": numbers.count,
    "share": numbers.percent,
    "number": numbers.fixed,
    "seconds": numbers.duration,
}
_DIGITS = 6  # significant digits of a coordinate in the page

Cell = float | str | None
_DASHES: Mapping[Dash, list[int]] = {0: [1, 0], 1: [7, 4], 2: [2, 3]}


@dataclass(frozen=True)
class Series:
    """One named series: colour class `css`, band from `low` to `high`, where it has one, and `dash` of its line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    css: str
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dash: Dash = 0


def finite(value: float) -> float | None:
    """Return a coordinate for the page: rounded to six significant digits, None where it is not finite."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def table(rows: Sequence[dict[str, Cell]]) -> alt.Chart:
    """Return a chart without marks over rows of numbers and texts.

    A tuple, for Altair copies a list with every layer. Nor does any chart name a channel by its text alone, `x2="b:Q"`:
    Altair then looks through its whole schema for the class.
    """
    return alt.Chart(alt.InlineData(values=tuple(rows)))


def span(values: Sequence[float], *, lo: float | None = None, hi: float | None = None) -> tuple[float, float]:
    """Return a range that holds all finite values with a little room; a given bound is kept as it is."""
    known = [v for v in values if math.isfinite(v)]
    low = min(known, default=0.0) if lo is None else lo
    high = max(known, default=1.0) if hi is None else hi
    if high <= low:
        pad = abs(low) * 0.1 or 0.5
        return (low if lo is not None else low - pad), low + pad
    pad = 0.06 * (high - low)
    return (low - pad if lo is None else low), (high + pad if hi is None else high)


def x_of(field: str, label: str, bounds: tuple[float, float], *, grid: bool = False, as_share: bool = False) -> alt.X:
    """Return a horizontal axis over `bounds`; shares of one are written as percentages, steps get whole ticks."""
    axis = alt.Axis(grid=grid, tickCount=6, tickMinStep=1 if label == "step" else alt.Undefined)
    if as_share:
        axis.labelExpr = PERCENT_TICKS
    return alt.X(f"{field}:Q", title=label or None, scale=_scale(bounds), axis=axis)


def y_of(field: str, label: str, bounds: tuple[float, float], *, as_share: bool = False) -> alt.Y:
    """Return a vertical axis over `bounds`; shares of one are written as percentages."""
    axis = alt.Axis(tickCount=4)
    if as_share:
        axis.labelExpr = PERCENT_TICKS
    return alt.Y(f"{field}:Q", title=label or None, scale=_scale(bounds), axis=axis)


def _scale(bounds: tuple[float, float]) -> alt.Scale:
    return alt.Scale(domain=list(bounds), nice=False, zero=False)


def painted() -> alt.Color:
    """Return the colour of marks whose field `c` holds their paint."""
    return alt.Color("c:N", scale=None, legend=None)


def layered(*charts: alt.Chart) -> alt.LayerChart:
    """Return the charts over one another, the first one below."""
    return alt.LayerChart(layer=list(charts))


def lines(
    title: str,
    series: Sequence[Series],
    x_label: str,
    *,
    y_label: str = "",
    y_range: tuple[float | None, float | None] = (None, None),
    smooth: int = 1,
    size: tuple[int, int] = (NARROW, 270),
    as_share: bool = False,
) -> Chart:
    """Draw series over a common axis; with `smooth` > 1 a centred running mean is drawn over pale raw values."""
    n_points = sum(math.isfinite(x) and math.isfinite(y) for s in series for x, y in zip(s.x, s.y, strict=True))
    layers = curves(series, x_label, y_label=y_label, y_range=y_range, smooth=smooth, as_share=as_share)
    return finish(layers, title, n_points, size)


def curves(
    series: Sequence[Series],
    x_label: str,
    *,
    y_label: str = "",
    y_range: tuple[float | None, float | None] = (None, None),
    smooth: int = 1,
    as_share: bool = False,
) -> alt.LayerChart:
    """Return the layers of `lines`: bands, raw values, running means, and the point nearest to the pointer."""
    xs = [float(v) for s in series for v in s.x]
    x_lo, x_hi = (min(xs, default=0.0), max(xs, default=1.0))
    x_lo, x_hi = (x_lo, x_hi) if x_hi > x_lo else (x_lo - 0.5, x_lo + 0.5)
    ys = [float(v) for s in series for v in (*s.y, *s.low, *s.high)]
    is_dashed = any(one.dash for one in series)
    base = table([row for one in series for row in _points_of(one, smooth, as_share, is_dashed)]).encode(
        x=x_of("x", x_label, (x_lo, x_hi)),
        y=y_of("y", y_label, span(ys, lo=y_range[0], hi=y_range[1]), as_share=as_share),
        color=painted(),
        detail=alt.Detail("n:N"),
    )
    layers = [base.mark_line(strokeWidth=2, strokeJoin="round").encode(opacity=alt.Opacity("o:Q", scale=None))]
    if is_dashed:
        layers[0] = layers[0].encode(strokeDash=alt.StrokeDash("d:N", scale=_dash_scale(), legend=None))
    if any(s.low for s in series):
        layers.insert(0, base.mark_area(opacity=0.16).encode(y=alt.Y("l:Q"), y2=alt.Y2("h:Q")))
    if any(is_smoothed(one, smooth) for one in series):
        layers.append(base.mark_line(strokeWidth=2, strokeJoin="round").encode(y=alt.Y("m:Q")))
    return layered(*layers, nearest(base, [("n", "curve"), ("x", x_label), ("t", "value")]))


def _dash_scale() -> alt.Scale:
    return alt.Scale(domain=list(_DASHES), range=list(_DASHES.values()))


def nearest(base: alt.Chart, tips: Sequence[tuple[str, str]]) -> alt.Chart:
    """Return the layer that marks the point nearest to the pointer and tells its `tips`: pairs of field and name."""
    pointer = alt.selection_point(name="near", on="pointerover", nearest=True, empty=False)
    shown = alt.OpacityValue(0, condition=[{"param": pointer.name, "value": 1, "empty": False}])
    points = base.mark_point(filled=True, size=60).encode(opacity=shown, tooltip=tooltips(tips))
    marked: alt.Chart = points.add_params(pointer).properties(name=HOVER)
    return marked


def tooltips(tips: Sequence[tuple[str, str]]) -> list[alt.Tooltip]:
    """Return what the pointer tells of a mark: pairs of field and name; the fields are shown as they are written."""
    return [alt.Tooltip(f"{field}:N", title=name) for field, name in tips]


def is_smoothed(one: Series, window: int) -> bool:
    """Say whether a series is long enough for a running mean over `window` values."""
    return window > 1 and len(one.y) >= 3 * window


def _points_of(one: Series, window: int, as_share: bool, is_dashed: bool) -> list[dict[str, Cell]]:
    y = np.asarray(one.y, dtype=np.float64)
    smoothed = is_smoothed(one, window)
    means = running_mean(y, window) if smoothed else y
    look: dict[str, Cell] = {"n": one.name, "c": paint(one.css), "o": 0.28 if smoothed else 1}
    if is_dashed:
        look["d"] = one.dash
    rows: list[dict[str, Cell]] = []
    for i, (x, value, mean) in enumerate(zip(one.x, y, means, strict=True)):
        told = numbers.percent(float(value)) if as_share else numbers.number(float(value))
        row: dict[str, Cell] = {"x": finite(x), "y": finite(float(value)), "t": told, **look}
        if smoothed:
            row["m"] = finite(float(mean))
        if one.low:
            row |= {"l": finite(one.low[i]), "h": finite(one.high[i])}
        rows.append(row)
    return rows


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
    rows: list[dict[str, Cell]] = []
    n_values, top = 0, 0.0
    for rank, (name, values, css) in enumerate(groups):
        known = np.asarray([v for v in values if math.isfinite(v)], dtype=np.float64)
        shares = np.histogram(known, bins=edges)[0] / max(len(known), 1)
        n_values += len(known)
        top = max(top, float(shares.max()))
        for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True):
            where = f"{numbers.number(low)} to {numbers.number(high)}"
            told: dict[str, Cell] = {"n": name, "w": where, "t": numbers.percent(float(share))}
            rows.append({"a": finite(low), "b": finite(high), "y": finite(share), "c": paint(css), "r": rank, **told})
        if rank:  # the outline ends at the right edge
            rows.append({**rows[-1], "a": finite(edges[-1]), "b": finite(edges[-1])})
    base = table(rows).encode(
        x=x_of("a", x_label, bounds),
        y=y_of("y", "share of the group", (0, (top or 1.0) * 1.08), as_share=True),
        color=painted(),
        detail=alt.Detail("n:N"),
        tooltip=tooltips([("n", "group"), ("w", x_label), ("t", "share")]),
    )
    filled = base.transform_filter("datum.r === 0").mark_rect(opacity=0.55).encode(x2=alt.X2("b:Q"), y2=alt.datum(0))
    layers = [filled]
    if len(groups) > 1:
        outline = base.transform_filter("datum.r > 0").mark_line(interpolate="step-after", strokeWidth=2)
        layers += [outline, base.mark_rect(opacity=0).encode(x2=alt.X2("b:Q"), y2=alt.datum(0)).properties(name=HOVER)]
    return finish(layered(*layers), title, n_bins * bool(n_values))


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
    spell, names = _SPELLINGS[write], row_names(labels)
    rows, ends = [], []
    for row, label in enumerate(labels):
        parts = [(name, float(values[row]), css) for name, values, css in stacks if math.isfinite(values[row])]
        end = 0.0
        for name, value, css in parts:
            told: dict[str, Cell] = {"n": name, "f": numbers.short(label, 120), "t": spell(value), "c": paint(css)}
            rows.append({"r": names[row], "a": finite(end), "b": finite(end + value), **told})
            end += value
        ends.append((end, spell(end) if parts else numbers.DASH))
    if high is None:  # with room for the value at the bar's end
        room = 1 + 0.03 * max((len(text) for _, text in ends), default=0)
        high = room * max((end for end, _ in ends), default=0.0) or 1.0
    x = x_of("a", x_label, (0, high), grid=True, as_share=write == "share")
    base = table(rows).encode(x=x, y=rows_of(names), color=painted())
    shown = base.mark_bar().encode(x2=alt.X2("b:Q"), tooltip=tooltips([("f", "of"), ("n", "what"), ("t", "value")]))
    told_ends = table([{"r": r, "a": finite(e), "t": text} for r, (e, text) in zip(names, ends, strict=True)])
    texts = told_ends.mark_text(align="left", dx=5, color=paint("ink")).encode(
        x=x, y=rows_of(names), text=alt.Text("t:N")
    )
    layers: list[alt.Chart] = [shown, texts]
    if reference is not None:
        dashed = table([{"a": reference}]).mark_rule(color=paint("ink"), strokeDash=[4, 3], opacity=0.6)
        layers.append(dashed.encode(x=x))
    return finish(layered(*layers), title, len(rows), (NARROW, ROW_PX * len(labels) + 52))


def row_names(labels: Sequence[str]) -> list[str]:
    """Return a short name of each row; rows that would share one are told apart by a mark that is not seen."""
    found: list[str] = []
    for label in labels:
        name = numbers.short(label, _LABEL)
        while name in found:
            name += "\N{ZERO WIDTH SPACE}"
        found.append(name)
    return found


def rows_of(names: Sequence[str]) -> alt.Y:
    """Return a vertical axis of one row a name, from the top down."""
    axis = alt.Axis(labelColor=paint("ink"), labelLimit=200, labelOverlap=False)
    scale = alt.Scale(domain=list(names), paddingInner=0.3, paddingOuter=0.15)
    return alt.Y("r:N", title=None, sort=None, scale=scale, axis=axis)
