"""What an answer can be. One frozen record a kind; `structures` reads them, `comparing` compares them."""

from dataclasses import dataclass
from typing import Literal

from saerl_core.rollouts.judge.nodes import Node
from saerl_core.rollouts.judge.units import Unit

Brackets = str  # two characters, as "[)"; "{}" a set, "" a bare list, "boxes" several boxes


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or expression, with its unit and a per cent sign where they stand."""

    node: Node
    unit: Unit | None = None
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """Text that is compared as text: lower case, without articles and punctuation."""

    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Letters of options, and the text behind the letter where it stands there."""

    letters: frozenset[str]
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """Several values: ordered in round, square or angle brackets, else a set."""

    values: tuple["Value", ...]
    brackets: Brackets


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval; `lower` and `upper` are equal for a single number."""

    lower: Node
    upper: Node
    lower_closed: bool
    upper_closed: bool


@dataclass(frozen=True, slots=True)
class Reals:
    """A union of intervals, of the variable where one is named; pieces are sorted and do not touch."""

    pieces: tuple[Piece, ...]
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """`x = 5`, `(x, y) = (1, 2)`: a value with the name in front of it."""

    name: str
    value: "Value"


@dataclass(frozen=True, slots=True)
class Relation:
    """An equation or inequality that names no value: `left` minus `right` against zero."""

    sign: Literal["=", "ne", "<", "le"]
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Congruence:
    """`left` is congruent to `right` modulo `modulus`."""

    left: Node
    right: Node
    modulus: Node


@dataclass(frozen=True, slots=True)
class Based:
    """An integer in a base other than ten that is written out."""

    value: int
    base: int


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day; `half` is "am", "pm" or unknown."""

    hour: int
    minute: int
    second: int = 0
    half: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """`2:3`, `1:2:4`."""

    parts: tuple[Node, ...]


Value = Quantity | Words | Choice | Items | Reals | Named | Relation | Congruence | Based | Clock | Ratio
