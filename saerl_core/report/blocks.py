"""What a section of the page is made of; the template knows one macro a block."""

from collections.abc import Sequence
from dataclasses import dataclass

from saerl_core.report.vega import Chart


@dataclass(frozen=True)
class Text:
    """A paragraph; a strong one is the answer of its section."""

    text: str
    strong: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Missing:
    """A sentence that says why something is not shown."""

    text: str
    kind: str = "missing"


@dataclass(frozen=True)
class Callout:
    """A sentence that must not be overlooked; tone is good, warn or bad."""

    text: str
    tone: str = "warn"
    kind: str = "callout"


@dataclass(frozen=True)
class Notes:
    """What the stages report: fallbacks and warnings as (stage, anchor of its section, sentence)."""

    title: str
    items: Sequence[tuple[str, str, str]]
    kind: str = "notes"


@dataclass(frozen=True)
class Stat:
    """One large number with its label and a small remark."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Stats:
    """A row of large numbers."""

    items: Sequence[Stat]
    kind: str = "stats"


@dataclass(frozen=True)
class Table:
    """A table of finished texts; the first `n_text` columns are left-aligned, the others hold numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_text: int = 1
    caption: str = ""
    strong_rows: frozenset[int] = frozenset()
    folded: bool = False  # shown on a click
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """A chart with its heading, its legend (pairs of colour class and name) and what it shows."""

    title: str
    chart: Chart
    keys: Sequence[tuple[str, str]] = ()
    caption: str = ""
    kind: str = "figure"


@dataclass(frozen=True)
class Card:
    """One cluster as a person reads it."""

    title: str
    css: str
    facts: Sequence[tuple[str, str]]
    chips: Sequence[tuple[str, str]]  # its name and what its tooltip says
    examples: Sequence[str]
    chips_title: str = ""


@dataclass(frozen=True)
class Cards:
    """A grid of cards."""

    items: Sequence[Card]
    kind: str = "cards"


@dataclass(frozen=True)
class Pairs:
    """Two texts side by side, as a receipt: heading, left, right."""

    title: str
    left_name: str
    right_name: str
    items: Sequence[tuple[str, str, str]]
    kind: str = "pairs"


@dataclass(frozen=True)
class Code:
    """A block of literal text."""

    title: str
    text: str
    folded: bool = False
    kind: str = "code"


@dataclass(frozen=True)
class Row:
    """Figures (or a small table) side by side where there is room."""

    items: "Sequence[Figure | Table]"
    kind: str = "row"


Block = Text | Missing | Callout | Notes | Stats | Table | Figure | Cards | Pairs | Code | Row


@dataclass(frozen=True)
class Section:
    """One numbered part of the page."""

    anchor: str
    title: str
    blocks: Sequence[Block]
    lead: str = ""


def figure_or_missing(figure: Figure, why: str) -> "Figure | Missing":
    """Return the figure, or the sentence where the figure has no data points."""
    return figure if figure.chart.n_points else Missing(f"{figure.title}: {why}")


def side_by_side(*items: "Figure | Table | Missing") -> list[Block]:
    """Return one row of what is drawn, and below it the sentences about what is not."""
    drawn = [i for i in items if not isinstance(i, Missing)]
    missing = [i for i in items if isinstance(i, Missing)]
    return [*([Row(drawn)] if drawn else []), *missing]
