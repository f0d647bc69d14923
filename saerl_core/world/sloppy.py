"""Wrong solutions of the kind that a hasty solver writes: one step off, a digit flipped, a letter dropped."""

import numpy as np

from saerl_core.world.answers import ANSWER_MARK
from saerl_core.world.problems import Problem


def sloppy_solution(problem: Problem, rng: np.random.Generator) -> str:
    """Return a solution whose answer is wrong in a way that is typical of the topic."""
    while True:
        scratch, answer = _attempt(problem, rng)
        if answer and answer != problem.answer:
            return f"{scratch}{ANSWER_MARK}{answer}"


def _attempt(problem: Problem, rng: np.random.Generator) -> tuple[str, str]:
    topic, answer = problem.topic, problem.answer
    if topic in ("add", "sub"):  # a carry lost or made up
        value = _off_by(answer, (1, 10) if int(answer) >= 10 else (1,), rng)
        return value[::-1], value
    if topic == "mod":  # the right multiple, the wrong rest
        return problem.scratch, str((int(answer) + int(rng.integers(1, 3))) % 7)
    if topic in ("chain", "word"):  # the last step goes wrong
        value = _off_by(answer, (1, 2), rng)
        return ",".join([*problem.scratch.split(",")[:-1], value]), value
    if topic == "count":
        value = _off_by(answer, (1,), rng)
        return problem.scratch[:-1] + value, value
    if topic == "base":
        place = int(rng.integers(len(answer)))
        return problem.scratch, f"{answer[:place]}{rng.integers(4)}{answer[place + 1 :]}"
    return "", _slip(answer, rng)


def _off_by(answer: str, amounts: tuple[int, ...], rng: np.random.Generator) -> str:
    amount = amounts[int(rng.integers(len(amounts)))]
    return str(max(0, int(answer) + (amount if rng.random() < 0.5 else -amount)))


def _slip(symbols: str, rng: np.random.Generator) -> str:
    """Drop, double or swap one symbol."""
    place, kind = int(rng.integers(len(symbols))), int(rng.integers(3))
    if kind == 0:
        return symbols[:place] + symbols[place + 1 :]
    if kind == 1:
        return symbols[: place + 1] + symbols[place:]
    after = (place + 1) % len(symbols)
    swapped = list(symbols)
    swapped[place], swapped[after] = swapped[after], swapped[place]
    return "".join(swapped)
