"""Nine topics x five levels of short problems with a short way to the answer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saerl_core.errors import ConfigError
from saerl_core.world.answers import ANSWER_MARK

LEVELS = (1, 2, 3, 4, 5)
LETTERS = "abcdefgh"
NAMES = ("tom", "ann", "bob", "eve")

# By level, half-open ranges: both operands of add and sub, the number of mod and base, the first number of word.
_OPERANDS = (
    ((0, 10), (0, 10)),
    ((10, 30), (0, 10)),
    ((10, 50), (10, 30)),
    ((10, 100), (10, 100)),
    ((100, 1000), (10, 100)),
)
_MOD_RANGE = ((0, 10), (10, 20), (20, 35), (35, 61), (61, 100))
_BASE_RANGE = ((0, 6), (6, 12), (12, 18), (18, 28), (28, 42))
_WORD_RANGE = ((1, 10), (1, 20), (1, 10), (1, 20), (1, 20))
_WORD_CHANGES = (1, 1, 2, 2, 3)
_COUNT_LENGTH = (3, 4, 5, 6, 7)
_CHAIN_CHANGES = (2, 3, 4, 5, 6)  # at least two, or it would be add or sub with other scratch work
_LARGEST_STEP, _LARGEST_VALUE = 5, 20  # of chain and word: few facts to know, many chains of them


@dataclass(frozen=True)
class Problem:
    """One problem with its true answer.

    `vague` is the prompt without the word that says what to do. It is empty where every reading has the same answer.
    """

    prompt: str
    scratch: str
    answer: str
    topic: str
    level: int
    vague: str = ""

    @property
    def solution(self) -> str:
        """Return what a correct policy writes: scratch work, the mark, the answer."""
        return f"{self.scratch}{ANSWER_MARK}{self.answer}"


@dataclass(frozen=True)
class _Draft:
    prompts: tuple[str, ...]  # wordings, one of which is drawn
    scratch: str
    answer: str
    vague: str
    other_answer: str  # the answer under another reading of `vague`


def _below(rng: np.random.Generator, stop: int) -> int:
    return int(rng.integers(stop))


def _between(rng: np.random.Generator, start: int, stop: int) -> int:
    return int(rng.integers(start, stop))


def _text(rng: np.random.Generator, symbols: str, length: int) -> str:
    return "".join(symbols[i] for i in rng.integers(len(symbols), size=length))


def _add(level: int, rng: np.random.Generator) -> _Draft:
    a, b = (_between(rng, *bounds) for bounds in _OPERANDS[level - 1])
    total = str(a + b)
    # The scratch work is the sum from its last digit: the order in which carries are known.
    return _Draft((f"{a}+{b}=", f"sum {a} {b}="), total[::-1], total, f"{a} {b}=", str(abs(a - b)))


def _sub(level: int, rng: np.random.Generator) -> _Draft:
    b, a = sorted(_between(rng, *bounds) for bounds in _OPERANDS[level - 1])
    rest = str(a - b)
    return _Draft((f"{a}-{b}=", f"diff {a} {b}="), rest[::-1], rest, f"{a} {b}=", str(a + b))


def _mod(level: int, rng: np.random.Generator) -> _Draft:
    a, m = _between(rng, *_MOD_RANGE[level - 1]), _between(rng, 2, 7)
    return _Draft((f"{a}%{m}=", f"{a} mod {m}="), str(a - a % m), str(a % m), f"{a} {m}=", str(a + m))


def _sort(level: int, rng: np.random.Generator) -> _Draft:
    digits = _text(rng, "0123456789", level + 1)
    return _Draft((f"sort {digits}=", f"order {digits}="), "", "".join(sorted(digits)), f"{digits}=", digits[::-1])


def in_base(number: int, base: int) -> str:
    """Return a number >= 0 in a base of at most 10."""
    digits = ""
    while number >= base:
        number, digit = divmod(number, base)
        digits = f"{digit}{digits}"
    return f"{number}{digits}"


def _base(level: int, rng: np.random.Generator) -> _Draft:
    a, base = _between(rng, *_BASE_RANGE[level - 1]), _between(rng, 2, 5)
    quotients, rest = [], a
    while rest >= base:
        rest //= base
        quotients.append(str(rest))
    wordings = (f"{a} base {base}=", f"base {base} of {a}=")
    return _Draft(wordings, ",".join(quotients), in_base(a, base), f"{a} base=", in_base(a, 4 if base == 2 else 2))


def _step(value: int, rng: np.random.Generator) -> int:
    """Draw a change that leaves a value from 0 to the largest one."""
    step = _between(rng, 1, _LARGEST_STEP + 1)
    down = value + step > _LARGEST_VALUE or (value >= step and rng.random() < 0.5)
    return -step if down else step


def _chain(level: int, rng: np.random.Generator) -> _Draft:
    value = _between(rng, 1, 10)
    text, values, vague, other = str(value), [], "", 0
    for _ in range(_CHAIN_CHANGES[level - 1]):
        step = _step(value, rng)
        vague, other = f"{text} {abs(step)}=", value - step
        text += f"{step:+d}"
        value += step
        values.append(str(value))
    return _Draft((f"{text}=", f"eval {text}="), ",".join(values), str(value), vague, str(other))


def _rev(level: int, rng: np.random.Generator) -> _Draft:
    letters = _text(rng, LETTERS, level + 1)
    return _Draft((f"rev {letters}=", f"flip {letters}="), "", letters[::-1], f"{letters}=", "".join(sorted(letters)))


def _count(level: int, rng: np.random.Generator) -> _Draft:
    letter, letters = _text(rng, LETTERS[:4], 1), _text(rng, LETTERS[:4], _COUNT_LENGTH[level - 1])
    n = letters.count(letter)
    so_far = "".join(str(letters[: i + 1].count(letter)) for i in range(len(letters)))
    other = next((str(letters.count(c)) for c in LETTERS[:4] if letters.count(c) != n), str(n))
    wordings = (f"count {letter} in {letters}=", f"{letter} in {letters}=")
    return _Draft(wordings, so_far, str(n), f"in {letters}=", other)


def _word(level: int, rng: np.random.Generator) -> _Draft:
    value = _between(rng, *_WORD_RANGE[level - 1])
    text, values, vague, other = f"{NAMES[_below(rng, len(NAMES))]} has {value}", [], "", 0
    for _ in range(_WORD_CHANGES[level - 1]):
        step = _step(value, rng)
        vague, other = f"{text} {abs(step)}=", value - step
        text += f" gives {-step}" if step < 0 else f" gets {step}"
        value += step
        values.append(str(value))
    return _Draft((f"{text}=",), ",".join(values), str(value), vague, str(other))


_DRAFTS: dict[str, Callable[[int, np.random.Generator], _Draft]] = {
    "add": _add,
    "sub": _sub,
    "mod": _mod,
    "sort": _sort,
    "base": _base,
    "chain": _chain,
    "rev": _rev,
    "count": _count,
    "word": _word,
}
TOPICS = tuple(_DRAFTS)


def sample_problem(topic: str, level: int, rng: np.random.Generator) -> Problem:
    """Draw a problem of a topic and a level; `ConfigError` where there is no such cell."""
    if topic not in _DRAFTS or level not in LEVELS:
        raise ConfigError(f"the task world has no topic '{topic}' at level {level}; use {TOPICS} and levels {LEVELS}")
    draft = _DRAFTS[topic](level, rng)
    prompt = draft.prompts[_below(rng, len(draft.prompts))]
    vague = draft.vague if draft.other_answer != draft.answer else ""
    return Problem(prompt, draft.scratch, draft.answer, topic, level, vague)
