"""Renders charts: a static SVG for every reader, and the Vega-Lite spec that a script puts in its place.

Colours are the page's own CSS variables (`var(--c0)` .. `var(--c7)`, `--ink`, `--mute`), so that the page decides about
light, dark and print. Nothing is loaded: the data is in the spec, the libraries are in the page.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape

if TYPE_CHECKING:
    import altair as alt

N_COLOURS = 8
Dash = Literal[0, 1, 2]  # of a line: full, dashed, dotted
_DASH_OF: tuple[Dash, ...] = (0, 1, 2)
HOVER = "hover"  # name of a layer that only a pointer shows: the static drawing leaves it out
NARROW, WIDE = 460, 960  # widths of the static drawing in SVG units; the live one fills its box
_HEAD = re.compile(r"^<svg [^>]*>")
_VARIABLE = re.compile(r"--(\w[\w-]*):(#[0-9a-f]+)")
_TEXT = {"labelFontSize": 11.5, "titleFontSize": 11.5, "titleFontWeight": "normal"}
_CONFIG = {
    "font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
    "background": None,
    "padding": {
        "left": 14,
        "top": 2,
        "right": 2,
        "bottom": 2,
    },  # a font that is wider than it was measured keeps its letters
    "view": {"stroke": None, "continuousHeight": 200},
    "mark": {"aria": False},
    "text": {"fontSize": 11.5},
    "title": {"color": "var(--ink)", "fontSize": 13},
    "legend": {"labelColor": "var(--mute)", "titleColor": "var(--mute)", "labelFontSize": 11.5},
    "axis": {
        **_TEXT,
        "aria": False,
        "labelColor": "var(--mute)",
        "titleColor": "var(--mute)",
        "gridColor": "var(--rule)",
        "domainColor": "var(--mute)",
        "ticks": False,
        "labelPadding": 6,
        "labelOverlap": "greedy",
    },
    "axisY": {"domain": False, "titlePadding": 12},  # a wider font than was measured must not reach the title
}


@dataclass(frozen=True)
class Chart:
    """A finished drawing, its spec, and how many data points it shows; a chart of no points is not drawn."""

    svg: Markup
    spec: Markup
    n_points: int
    wide: bool = False


@dataclass(frozen=True)
class Scripts:
    """What a page with charts carries once: the libraries with our script, the charts' theme, the script's hash."""

    code: Markup
    config: Markup
    policy: str


def finish(layers: "alt.LayerChart", title: str, n_points: int, size: tuple[int, int] = (NARROW, 270)) -> Chart:
    """Render a chart of `size` SVG units; `title` is what a screen reader says.

    The live chart is as wide as its box and as high as the drawing. The same chart gives the same bytes.
    """
    if not n_points:
        return Chart(Markup(""), Markup(""), 0)
    width, height = size
    spec: dict[str, object] = {**layers.to_dict(validate=False), "description": title, "height": height}
    spec["autosize"] = {"type": "fit", "contains": "padding"}
    del spec["config"]  # the defaults of the library: the page's theme holds all that is set
    head = (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'data-points="{n_points}">'
    )
    drawing = _HEAD.sub(lambda _: head, _draw({**spec, "width": width}), count=1)
    live = htmlsafe_json_dumps({**spec, "width": "container"}, dumps=_compact)
    return Chart(Markup(drawing), live, n_points, wide=width > 600)  # noqa: S704 - Vega escapes its texts


def standalone(panels: "Sequence[alt.LayerChart]", keys: Sequence[tuple[str, str]]) -> str:
    """Return charts side by side, with a legend of pairs of name and colour class, as an SVG file of their own.

    The colours are the light ones of the page, on white.
    """
    import altair as alt

    rows = [{"n": name, "c": paint(css)} for name, css in keys]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(
            "n:N",
            sort=None,
            axis=alt.Axis(orient="top", title=None, domain=False, labelAngle=0, labelColor=paint("ink")),
        )
    )
    legend_row = base.mark_rect(height=3).encode(color=alt.Color("c:N", scale=None)).properties(width=120 * len(keys))
    whole = alt.vconcat(legend_row.properties(height=4), alt.hconcat(*map(_drawn_only, panels)))
    spec: dict[str, object] = {**whole.to_dict(), "config": {**_CONFIG, "background": "white", "padding": 12}}
    colours = dict(_VARIABLE.findall(style().split("@media", 1)[0]))
    return re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found.group(1)], _draw(spec))


def _drawn_only(chart: "alt.LayerChart") -> "alt.LayerChart":
    """Return the chart without its layers for the pointer."""
    import altair as alt

    found = chart.copy()
    found.layer = [layer for layer in chart.layer if layer.name != HOVER]
    found.params = alt.Undefined
    return found


def _draw(spec: dict[str, object]) -> str:
    """Return the SVG of a spec without its layers for the pointer."""
    import vl_convert

    layers = spec.get("layer")
    if isinstance(layers, list):
        kept = [layer for layer in layers if layer.get("name") != HOVER]
        spec = {name: value for name, value in spec.items() if name != "params"} | {"layer": kept}
    return str(vl_convert.vegalite_to_svg({"config": _CONFIG, **spec}, allowed_base_urls=[]))


def _compact(value: object, **_: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@lru_cache(maxsize=1)
def scripts() -> Scripts:
    """Return the scripts of a page; its policy lets the browser run these bytes alone, and load nothing."""
    import vl_convert

    own = files("saerl_core.report").joinpath("charts.js").read_text(encoding="utf-8")
    code = re.sub(
        r"</(?=script)",
        r"<\\/",
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;") + "\n" + own,
        flags=re.IGNORECASE,
    )
    code = code.replace("<!--", r"<\!--").replace("\r\n", "\n")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return Scripts(Markup(code), htmlsafe_json_dumps(_CONFIG, dumps=_compact), policy)  # noqa: S704 - no data in it


def legend(names: Sequence[tuple[str, str]]) -> Markup:
    """Return a legend as HTML: pairs of a colour class and a name."""
    items = "".join(f'<span class="key"><i class="{css}"></i>{escape(name)}</span>' for css, name in names)
    return Markup(f'<div class="legend">{items}</div>')  # noqa: S704 - the names are escaped above


def colour(index: int) -> str:
    """Return the colour class of the i-th category; colours repeat after eight, so more must tell them apart."""
    return f"c{index % N_COLOURS}"


def line_of(index: int) -> tuple[str, Dash]:
    """Return colour class and dash of the i-th line: no two of the first 24 look the same."""
    return colour(index), _DASH_OF[index // N_COLOURS % len(_DASH_OF)]


def key_of(css: str, dash: Dash) -> str:
    """Return the classes of a line's key in a legend."""
    return f"{css} dash{dash}" if dash else css


def paint(css: str) -> str:
    """Return the paint of a colour class of the page."""
    return f"var(--{css})"


def style() -> str:
    """Return the page's style sheet."""
    return files("saerl_core.report").joinpath("page.css").read_text(encoding="utf-8")
