"""A small canvas for inline SVG charts: scales, ticks, axes, marks with tooltips, a legend.

Colours are CSS classes (`c0` .. `c7`, `ink`, `mute`), so that the page decides about light and dark. Every text that
reaches the canvas is escaped. Points that are not finite are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from saerl_core.report import numbers

N_COLOURS = 8
_CHAR_PX = 6.7  # mean width of a character at the chart's font size


@dataclass(frozen=True)
class Chart:
    """A finished drawing and how many data points it shows; a chart of no points is not drawn."""

    svg: Markup
    n_points: int
    wide: bool = False


@dataclass(frozen=True)
class Frame:
    """The ranges and labels of a chart's two axes, and its size in SVG units."""

    x_lo: float
    x_hi: float
    y_lo: float
    y_hi: float
    x_label: str = ""
    y_label: str = ""
    x_ticks: Sequence[tuple[float, str]] | None = None  # None: chosen here
    y_ticks: Sequence[tuple[float, str]] | None = None
    width: int = 460
    height: int = 270
    left: int = 54
    right: int = 14
    top: int = 14
    bottom: int = 42


def ticks(lo: float, hi: float, n: int = 5) -> list[float]:
    """Return about `n` round numbers (1, 2, 2.5 or 5 times a power of ten) inside [lo, hi]."""
    if not (math.isfinite(lo) and math.isfinite(hi)) or hi <= lo:
        return [lo]
    raw = (hi - lo) / max(n, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * power >= raw * 0.999)
    first = math.ceil(lo / step - 1e-9)
    last = math.floor(hi / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def span(values: Sequence[float], *, lo: float | None = None, hi: float | None = None) -> tuple[float, float]:
    """Return a range that holds all finite values with a little room; a given bound is kept as it is."""
    finite = [v for v in values if math.isfinite(v)]
    low = min(finite, default=0.0) if lo is None else lo
    high = max(finite, default=1.0) if hi is None else hi
    if high <= low:
        pad = abs(low) * 0.1 or 0.5
        return (low if lo is not None else low - pad), low + pad
    pad = 0.06 * (high - low)
    return (low - pad if lo is None else low), (high + pad if hi is None else high)


@dataclass
class Canvas:
    """Draws in data coordinates; `finish` closes the SVG."""

    frame: Frame
    title: str
    parts: list[str] = field(default_factory=list)
    n_points: int = 0

    def x(self, value: float) -> float:
        """Map a data value to a horizontal position."""
        f = self.frame
        return f.left + (value - f.x_lo) / (f.x_hi - f.x_lo) * (f.width - f.left - f.right)

    def y(self, value: float) -> float:
        """Map a data value to a vertical position; large values are at the top."""
        f = self.frame
        return f.height - f.bottom - (value - f.y_lo) / (f.y_hi - f.y_lo) * (f.height - f.top - f.bottom)

    def axes(self, *, grid_x: bool = False, grid_y: bool = True) -> None:
        """Draw grid lines, tick labels and axis titles."""
        f = self.frame
        bottom, right = f.height - f.bottom, f.width - f.right
        for value, label in f.y_ticks if f.y_ticks is not None else _labelled(ticks(f.y_lo, f.y_hi, 4)):
            y = self.y(value)
            if grid_y:
                self.parts.append(f'<path class="grid" d="M{f.left} {y:.1f}H{right}"/>')
            self.text(f.left - 6, y + 3.5, label, anchor="end", css="tick")
        x_values = [t for t in ticks(f.x_lo, f.x_hi, 6) if t == round(t) or f.x_label != "step"]  # no step 1.5
        for value, label in f.x_ticks if f.x_ticks is not None else _labelled(x_values):
            x = self.x(value)
            if grid_x:
                self.parts.append(f'<path class="grid" d="M{x:.1f} {f.top}V{bottom}"/>')
            self.text(x, bottom + 15, label, anchor="middle", css="tick")
        self.parts.append(f'<path class="axis" d="M{f.left} {bottom}H{right}"/>')
        if f.x_label:
            self.text((f.left + right) / 2, f.height - 6, f.x_label, anchor="middle", css="label")
        if f.y_label:
            middle = (f.top + bottom) / 2
            self.parts.append(
                f'<text class="label" text-anchor="middle" transform="translate(12 {middle:.0f}) rotate(-90)">'
                f"{escape(f.y_label)}</text>"
            )

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", css: str = "tick") -> None:
        """Write a text at SVG coordinates."""
        self.parts.append(f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, xs: Sequence[float], ys: Sequence[float], css: str, tip: str = "", *, data: bool = True) -> None:
        """Draw a polyline; a value that is not finite interrupts it."""
        pieces: list[str] = []
        pen_down = False
        for x, y in zip(xs, ys, strict=True):
            if not (math.isfinite(x) and math.isfinite(y)):
                pen_down = False
                continue
            pieces.append(f"{'L' if pen_down else 'M'}{self.x(x):.1f} {self.y(y):.1f}")
            pen_down = True
            self.n_points += data
        if pieces:
            self.parts.append(f'<path class="line {css}" d="{"".join(pieces)}">{_tip(tip)}</path>')

    def band(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], css: str, tip: str = "") -> None:
        """Fill the area between two lines; positions with a value that is not finite are left out."""
        rows = [r for r in zip(xs, lows, highs, strict=True) if all(map(math.isfinite, r))]
        if rows:
            up = "L".join(f"{self.x(x):.1f} {self.y(h):.1f}" for x, _, h in rows)
            down = "L".join(f"{self.x(x):.1f} {self.y(low):.1f}" for x, low, _ in reversed(rows))
            self.parts.append(f'<path class="band {css}" d="M{up}L{down}Z">{_tip(tip)}</path>')

    def dot(self, x: float, y: float, css: str, tip: str = "", radius: float = 3.0) -> None:
        """Draw a dot with a tooltip; not finite: nothing."""
        if math.isfinite(x) and math.isfinite(y):
            where = f'cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:g}"'
            self.parts.append(f'<circle class="dot {css}" {where}>{_tip(tip)}</circle>')
            self.n_points += 1

    def hover(self, x: float, y: float, tip: str) -> None:
        """Put an invisible target with a tooltip on a point of a line."""
        if math.isfinite(x) and math.isfinite(y):
            self.parts.append(
                f'<circle class="hover" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="5">{_tip(tip)}</circle>'
            )

    def box(self, x0: float, x1: float, y0: float, y1: float, css: str, tip: str = "", style: str = "") -> None:
        """Draw a rectangle between two corners in data coordinates."""
        if not all(map(math.isfinite, (x0, x1, y0, y1))):
            return
        left, right = sorted((self.x(x0), self.x(x1)))
        top, bottom = sorted((self.y(y0), self.y(y1)))
        extra = f' style="{escape(style)}"' if style else ""
        self.parts.append(
            f'<rect class="bar {css}" x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 0):.1f}" '
            f'height="{max(bottom - top, 0):.1f}"{extra}>{_tip(tip)}</rect>'
        )
        self.n_points += 1

    def raw(self, markup: str, n_points: int = 0) -> None:
        """Add finished markup; the caller has escaped it."""
        self.parts.append(markup)
        self.n_points += n_points

    def finish(self) -> Chart:
        """Close the drawing."""
        f = self.frame
        head = (
            f'<svg class="chart" viewBox="0 0 {f.width} {f.height}" role="img" '
            f'aria-label="{escape(self.title)}" data-points="{self.n_points}">'
        )
        return Chart(Markup(head + "".join(self.parts) + "</svg>"), self.n_points, wide=f.width > 600)  # noqa: S704


def legend(names: Sequence[tuple[str, str]]) -> Markup:
    """Return a legend as HTML: pairs of a colour class and a name."""
    items = "".join(f'<span class="key"><i class="{css}"></i>{escape(name)}</span>' for css, name in names)
    return Markup(f'<div class="legend">{items}</div>')  # noqa: S704 - the names are escaped above


def text_width(text: str) -> float:
    """Estimate the width of a tick label in SVG units."""
    return len(text) * _CHAR_PX


def colour(index: int) -> str:
    """Return the colour class of the i-th category; colours repeat after eight, so labels must tell them apart."""
    return f"c{index % N_COLOURS}"


def _labelled(values: Sequence[float]) -> list[tuple[float, str]]:
    return [(v, numbers.number(v, 4)) for v in values]


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""
