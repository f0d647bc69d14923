"""Four ways in which a prompt of a real pool is bad; each result is checked to be really bad."""

from dataclasses import replace

import numpy as np

from saerl_core.errors import ConfigError
from saerl_core.world.problems import LETTERS, Problem
from saerl_core.world.solver import solve
from saerl_core.world.tokenizer import ALPHABET

KINDS = ("wrong_key", "garbled", "truncated", "ambiguous")

_TRIES = 8
_GARBLED_FRAC = 0.35


def corrupt(problem: Problem, kind: str, rng: np.random.Generator) -> Problem | None:
    """Return the problem made bad, or None where it cannot be made bad in this way.

    wrong_key: one symbol of the answer is another one. garbled: 35 % of the prompt's symbols are replaced, and what
    remains is no problem of the world. truncated: the last 30-60 % of the prompt are missing, and the key does not fit
    the rest. ambiguous: the word that says what to do is missing, and another reading has another answer.
    """
    if kind == "wrong_key":
        return replace(problem, answer=near_miss(problem.answer, rng))
    if kind == "ambiguous":
        return replace(problem, prompt=problem.vague) if problem.vague else None
    if kind not in ("garbled", "truncated"):
        raise ConfigError(f"there is no corruption '{kind}'; use one of {KINDS}")
    damage = _garble if kind == "garbled" else _truncate
    for _ in range(_TRIES):
        text = damage(problem.prompt.removesuffix("="), rng) + "="
        found = solve(text)
        if found is None or (kind == "truncated" and found != problem.answer):
            return replace(problem, prompt=text)
    return None


def near_miss(answer: str, rng: np.random.Generator) -> str:
    """Return the answer with one digit or letter replaced by another."""
    place = int(rng.integers(len(answer)))
    symbols = LETTERS if answer[place].isalpha() else "0123456789"
    others = symbols.replace(answer[place], "")
    return answer[:place] + others[int(rng.integers(len(others)))] + answer[place + 1 :]


def _garble(text: str, rng: np.random.Generator) -> str:
    n_replaced = max(2, round(_GARBLED_FRAC * len(text)))
    symbols = list(text)
    for place in rng.permutation(len(text))[:n_replaced]:
        symbols[place] = ALPHABET[int(rng.integers(len(ALPHABET)))]
    return " ".join("".join(symbols).replace("#", "*").split())


def _truncate(text: str, rng: np.random.Generator) -> str:
    return text[: max(1, int(len(text) * rng.uniform(0.4, 0.7)))].rstrip()
