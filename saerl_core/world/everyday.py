"""Everyday arithmetic in plain sentences: a small pool that a pretrained language model can learn from.

A problem is a chain of one to three steps with the things that somebody owns. Its topic is the operation of the first
step, its level the number of steps and the size of the numbers. Every name, thing and sentence is written here. The
calculation of a problem, not its wording, decides its split: no held-out problem has its numbers in the pool.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from saerl_core.errors import ConfigError
from saerl_core.world.corruptions import KINDS, near_miss
from saerl_core.world.problems import LEVELS, Problem

_T = TypeVar("_T")
TOPICS = ("gain", "lose", "times", "share", "compare")

_NAMES = (
    *("Ada", "Amir", "Bea", "Chen", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jana", "Kofi"),
    *("Lena", "Marco", "Nadia", "Omar", "Petra", "Quinn", "Rosa", "Sami", "Tilda", "Umar", "Vera", "Yuki"),
)
_THINGS = (
    *("pens", "mugs", "plates", "books", "marbles", "buttons", "stamps", "candles", "shells", "spoons"),
    *("badges", "ribbons", "coins", "stickers", "postcards", "keys", "beads", "bricks", "cards", "jars"),
)
_SENTENCES = {  # n stands for the number of the step
    "gain": (
        "{who} buys {n} more {things}.",
        "{who} finds {n} more {things}.",
        "{who} wins {n} {things} at a fair.",
        "A neighbour brings {who} {n} more {things}.",
    ),
    "lose": (
        "{who} gives {n} of the {things} away.",
        "{who} sells {n} of the {things}.",
        "{n} of the {things} go missing.",
    ),
    "times": ("A month later {who} has {n} times as many {things}.",),
    "share": (
        "{who} packs the {things} into {n} bags with the same number in each and keeps only one bag.",
        "{who} puts the {things} in {n} equal rows and keeps only one row.",
    ),
    "more": ("{other} has {n} more {things} than {who}.",),
    "fewer": ("{other} has {n} fewer {things} than {who}.",),
}
_BAGS = ("{who} has {n} bags with {each} {things} in each.", "{who} owns {n} boxes of {each} {things} each.")
_QUESTIONS = ("How many {things} does {who} have now?", "How many {things} has {who} now?")
_SOME = {"times": "several", "share": "several", "more": "a few", "fewer": "a few"}  # for the number; else "some"
_GARBLED_FRAC = 0.35


@dataclass(frozen=True)
class _Size:
    """How large a level is."""

    n_steps: int
    largest: int  # number that is added or taken away
    factor: int  # largest number of bags, rows, times


_SIZES = dict(
    zip(LEVELS, (_Size(1, 10, 5), _Size(1, 50, 9), _Size(2, 10, 5), _Size(2, 50, 9), _Size(3, 30, 9)), strict=True)
)
_LARGEST_EACH = 20  # things in a bag


class _Story:
    """The text, the calculation and what is owned so far."""

    def __init__(self, size: _Size, rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        self.things = self._one(_THINGS)
        self.names = [_NAMES[i] for i in rng.permutation(len(_NAMES))]
        self.who = self.names.pop()
        self.value = 0
        self.texts: list[str] = []
        self.calculation: list[str] = []
        self.vague: list[str] = []  # the texts with the last number left open

    def start(self, topic: str) -> None:
        """Say what is owned at first and do the first step, which is of the topic."""
        if topic == "times":
            bags, each = self._between(2, self.size.factor), self._between(2, min(self.size.largest, _LARGEST_EACH))
            self._say(self._one(_BAGS), "times", bags, each=each)
            self._result(f"{bags}*{each}", bags * each)
            return
        self.value = self._between(4, self.size.largest * (2 if topic == "lose" else 1))
        if topic == "share":
            self.value = self._between(2, self.size.factor) * self._between(2, min(self.size.largest, _LARGEST_EACH))
        self.texts.append(f"{self.who} has {self.value} {self.things}.")
        self.step(topic)

    def step(self, operation: str) -> None:
        """Do one operation; the value stays at 1 or more."""
        if operation == "compare":
            operation = "fewer" if self.value > 3 and self.rng.random() < 0.5 else "more"
        sign, low, high = self._bounds(operation)
        number = self._one(self.divisors()) if operation == "share" else self._between(low, high)
        sentence, other = self._one(_SENTENCES[operation]), self.names.pop()
        self._say(sentence, operation, number, other=other)
        if operation in ("more", "fewer"):
            self.who = other
        before = self.value
        after = {"+": before + number, "-": before - number, "*": before * number, "/": before // number}[sign]
        self._result(f"{before}{sign}{number}", after)

    def possible(self) -> list[str]:
        """Return the operations that the value allows."""
        small = self.value * 2 <= 200
        return [
            *("gain", "compare"),
            *(["lose"] if self.value > 3 else []),
            *(["times"] if small else []),
            *(["share"] if self.divisors() else []),
        ]

    def divisors(self) -> list[int]:
        """Return the numbers of bags that leave at least two things in each."""
        return [d for d in range(2, self.size.factor + 1) if self.value % d == 0 and self.value > d]

    def _bounds(self, operation: str) -> tuple[str, int, int]:
        if operation in ("lose", "fewer"):
            return "-", 2, min(self.size.largest, self.value - 1)
        if operation == "times":
            return "*", 2, self.size.factor
        return ("/" if operation == "share" else "+"), 2, self.size.largest

    def _say(self, sentence: str, operation: str, number: int, **words: object) -> None:
        words |= {"who": self.who, "things": self.things}
        some = sentence.format(n=_SOME.get(operation, "some"), **words)
        self.vague = [*self.texts, some[0].upper() + some[1:]]
        self.texts.append(sentence.format(n=number, **words))

    def _result(self, calculation: str, value: int) -> None:
        self.calculation.append(f"{calculation}={value}")
        self.value = value

    def _one(self, choices: Sequence[_T]) -> _T:
        return choices[int(self.rng.integers(len(choices)))]

    def _between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))


def sample_problem(topic: str, level: int, rng: np.random.Generator) -> Problem:
    """Draw a problem of a topic and a level; `ConfigError` where there is no such cell."""
    if topic not in TOPICS or level not in LEVELS:
        raise ConfigError(
            f"the everyday world has no topic '{topic}' at level {level}; use {TOPICS} and levels {LEVELS}"
        )
    story = _Story(_SIZES[level], rng)
    story.start(topic)
    for _ in range(story.size.n_steps - 1):
        possible = story.possible()
        story.step(possible[int(rng.integers(len(possible)))])
    question = _QUESTIONS[int(rng.integers(len(_QUESTIONS)))].format(who=story.who, things=story.things)
    prompt, vague = (" ".join([*texts, question]) for texts in (story.texts, story.vague))
    return Problem(prompt, ";".join(story.calculation), str(story.value), topic, level, vague)


def calculation(problem: Problem) -> str:
    """Return the numbers and signs of a problem without its words; the order of a sum or product does not count."""
    return re.sub(r"(\d+)([+*])(\d+)", _smaller_first, problem.scratch)


def _smaller_first(match: "re.Match[str]") -> str:
    low, high = sorted((int(match[1]), int(match[3])))
    return f"{low}{match[2]}{high}"


def corrupt(problem: Problem, kind: str, rng: np.random.Generator) -> Problem:
    """Return the problem made bad; its text or key no longer fits, by construction.

    wrong_key: one digit of the answer is another one. garbled: 35 % of letters and digits are replaced by letters, at
    least one digit among them, so that a number is none any more. truncated: the text ends before its last number.
    ambiguous: the number of the last step is left open ("some").
    """
    if kind == "wrong_key":
        return replace(problem, answer=near_miss(problem.answer, rng))
    if kind == "ambiguous":
        return replace(problem, prompt=problem.vague)
    if kind == "garbled":
        return replace(problem, prompt=_garble(problem.prompt, rng))
    if kind == "truncated":
        last = [m.start() for m in re.finditer(r"\d+", problem.prompt)][-1]
        return replace(problem, prompt=problem.prompt[: max(1, int(last * rng.uniform(0.5, 1.0)))].rstrip())
    raise ConfigError(f"there is no corruption '{kind}'; use one of {KINDS}")


def _garble(text: str, rng: np.random.Generator) -> str:
    places = [i for i, symbol in enumerate(text) if symbol.isalnum()]
    digits = [i for i in places if text[i].isdigit()]
    chosen = {digits[int(rng.integers(len(digits)))], *rng.permutation(places)[: round(_GARBLED_FRAC * len(places))]}
    return "".join(chr(97 + int(rng.integers(26))) if i in chosen else symbol for i, symbol in enumerate(text))
