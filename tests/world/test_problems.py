"""Problems of the task world: worked examples, and every answer against an independent computation."""

import re

import numpy as np
import pytest

from saerl_core.errors import ConfigError
from saerl_core.world.answers import extract_answer
from saerl_core.world.problems import LEVELS, TOPICS, Problem, in_base, sample_problem
from saerl_core.world.sloppy import sloppy_solution
from saerl_core.world.solver import solve
from saerl_core.world.tokenizer import ALPHABET

CELLS = [(topic, level) for topic in TOPICS for level in LEVELS]


def sample(topic: str, level: int, n: int = 60, seed: int = 0) -> list[Problem]:
    rng = np.random.default_rng(seed)
    return [sample_problem(topic, level, rng) for _ in range(n)]


def by_hand(problem: Problem) -> str:
    """Compute the answer from the prompt's words alone, in another way than the generator and the solver."""
    text, topic = problem.prompt.rstrip("="), problem.topic
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    if topic == "add":
        return str(numbers[0] + numbers[1])
    if topic == "sub":
        return str(numbers[0] - numbers[1])
    if topic == "mod":
        return str(next(r for r in range(numbers[1]) if (numbers[0] - r) % numbers[1] == 0))
    if topic == "sort":
        return "".join(d * text.count(d) for d in "0123456789")
    if topic == "base":
        base, number = numbers if text.startswith("base") else reversed(numbers)
        return np.base_repr(number, base)
    if topic == "rev":
        return "".join(reversed(text.split()[-1]))
    if topic == "count":
        letter, letters = text.split()[-3], text.split()[-1]
        return str(sum(1 for c in letters if c == letter))
    if topic == "chain":
        return str(eval(text.removeprefix("eval ")))
    signs = [1 if verb == "gets" else -1 for verb in text.split() if verb in ("gets", "gives")]
    return str(numbers[0] + sum(s * n for s, n in zip(signs, numbers[1:], strict=True)))


def test_there_are_at_least_eight_topics_and_five_levels():
    assert len(TOPICS) >= 8
    assert LEVELS == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(("topic", "level"), CELLS)
def test_answers_agree_with_an_independent_computation(topic: str, level: int):
    for problem in sample(topic, level):
        assert problem.answer == by_hand(problem), problem
        assert (problem.topic, problem.level) == (topic, level)
        assert problem.prompt.endswith("=")


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("17+5=", "22"),
        ("sum 17 5=", "22"),
        ("17-5=", "12"),
        ("diff 17 5=", "12"),
        ("17%5=", "2"),
        ("17 mod 5=", "2"),
        ("sort 31402=", "01234"),
        ("order 77=", "77"),
        ("13 base 2=", "1101"),
        ("base 3 of 14=", "112"),
        ("9-3+4=", "10"),
        ("eval 9-3+4=", "10"),
        ("rev abca=", "acba"),
        ("flip abca=", "acba"),
        ("count a in abca=", "2"),
        ("d in abca=", "0"),
        ("tom has 5 gets 3 gives 2=", "6"),
        ("17 5=", None),
        ("sort 3a=", None),
        ("9 base=", None),
        ("9 base 1=", None),
        ("9%0=", None),
        ("tom has 5 gets 3 2=", None),
        ("", None),
    ],
)
def test_the_solver_reads_prompts(prompt: str, answer: str | None):
    assert solve(prompt) == answer


@pytest.mark.parametrize(("topic", "level"), CELLS)
def test_solver_and_generator_agree(topic: str, level: int):
    assert all(solve(p.prompt) == p.answer for p in sample(topic, level))


@pytest.mark.parametrize(("topic", "level"), CELLS)
def test_solutions_fit_into_24_tokens_and_the_alphabet(topic: str, level: int):
    rng = np.random.default_rng(1)
    for problem in sample(topic, level):
        for solution in (problem.solution, sloppy_solution(problem, rng)):
            assert len(solution) < 24  # one token is left for the end
            assert set(problem.prompt + solution) <= set(ALPHABET)
        assert extract_answer(problem.solution) == problem.answer


@pytest.mark.parametrize(("topic", "level"), CELLS)
def test_sloppy_solutions_are_wrong(topic: str, level: int):
    rng = np.random.default_rng(2)
    for problem in sample(topic, level):
        answer = extract_answer(sloppy_solution(problem, rng))
        assert answer is not None
        assert answer != problem.answer


def test_scratch_work_leads_to_the_answer():
    chain = next(p for p in sample("chain", 3))
    assert chain.scratch.split(",")[-1] == chain.answer
    count = next(p for p in sample("count", 3))
    assert count.scratch[-1] == count.answer
    add = next(p for p in sample("add", 4))
    assert add.scratch[::-1] == add.answer


@pytest.mark.parametrize(("number", "base", "written"), [(0, 2, "0"), (5, 2, "101"), (26, 3, "222"), (10, 10, "10")])
def test_in_base(number: int, base: int, written: str):
    assert in_base(number, base) == written
    assert int(written, base) == number


@pytest.mark.parametrize(
    ("completion", "answer"),
    [("12,3#3", "3"), ("#a#b", "b"), ("12", None), ("12#", None), ("# 7 ", "7"), ("", None)],
)
def test_extract_answer(completion: str, answer: str | None):
    assert extract_answer(completion) == answer


@pytest.mark.parametrize(("topic", "level"), [("poetry", 1), ("add", 6), ("add", 0)])
def test_an_unknown_cell_is_refused(topic: str, level: int):
    with pytest.raises(ConfigError, match="has no topic"):
        sample_problem(topic, level, np.random.default_rng(0))
