"""Every kind of corruption yields a prompt that is truly bad."""

import numpy as np
import pytest

from saerl_core.errors import ConfigError
from saerl_core.world.corruptions import KINDS, corrupt
from saerl_core.world.problems import LEVELS, TOPICS, Problem, sample_problem
from saerl_core.world.solver import solve


def pairs(kind: str, n: int = 12) -> list[tuple[Problem, Problem]]:
    rng = np.random.default_rng(5)
    found = []
    for topic in TOPICS:
        for level in LEVELS:
            for _ in range(n):
                problem = sample_problem(topic, level, rng)
                bad = corrupt(problem, kind, rng)
                if bad is not None:
                    found.append((problem, bad))
    assert len(found) > 0.5 * n * len(TOPICS) * len(LEVELS)
    assert {p.topic for p, _ in found} == set(TOPICS)
    return found


def test_wrong_key_keeps_the_prompt_and_misses_the_answer_by_one_symbol():
    for problem, bad in pairs("wrong_key"):
        assert bad.prompt == problem.prompt
        assert bad.answer != solve(problem.prompt)
        assert sum(a != b for a, b in zip(bad.answer, problem.answer, strict=True)) == 1


def test_garbled_prompts_ask_nothing():
    for problem, bad in pairs("garbled"):
        assert bad.prompt != problem.prompt
        assert solve(bad.prompt) is None
        assert bad.answer == problem.answer


def test_truncated_prompts_lack_the_end_and_miss_the_key():
    for problem, bad in pairs("truncated"):
        assert problem.prompt.startswith(bad.prompt.removesuffix("="))
        assert len(bad.prompt) < len(problem.prompt)
        assert solve(bad.prompt) != bad.answer


def readings(text: str) -> set[str]:
    """All answers of clean prompts that become `text` when the word that says what to do is left out."""
    body = text.removesuffix("=")
    words = body.split(" ")
    candidates = [
        f"sort {body}",
        f"rev {body}",
        f"count a {body}",
        f"count b {body}",
        f"count c {body}",
        f"count d {body}",
    ]
    candidates += [f"{body} {base}" for base in (2, 3, 4)]
    for word in ("+", "-", "%", " mod ", " gets ", " gives "):
        candidates.append(f"{' '.join(words[:-1])}{word}{words[-1]}")
    found = {solve(f"{c}=") for c in candidates}
    if body.isalpha():
        found.add("".join(sorted(body)))
    if body.isdigit():
        found.add(body[::-1])
    return {answer for answer in found if answer is not None}


def test_ambiguous_prompts_have_the_key_and_another_answer():
    for problem, bad in pairs("ambiguous"):
        assert bad.answer == problem.answer
        found = readings(bad.prompt)
        assert bad.answer in found, bad
        assert len(found) >= 2, bad
        assert solve(bad.prompt) is None


@pytest.mark.parametrize(("prompt", "answer", "vague"), [("5%7=", "5", ""), ("rev aa=", "aa", "")])
def test_what_cannot_be_ambiguous_is_refused(prompt: str, answer: str, vague: str):
    assert corrupt(Problem(prompt, "", answer, "mod", 1, vague), "ambiguous", np.random.default_rng(0)) is None


def test_what_stays_right_when_it_is_cut_is_refused():
    problem = Problem("a in aaaaaaaaaaaaaaaa=", "", "never", "count", 1)
    assert corrupt(problem, "truncated", np.random.default_rng(0)) is not None
    # Each cut of "0+0+0+0+0" that can be solved has the answer 0, the others ("0+0+") ask nothing.
    for seed in range(20):
        bad = corrupt(Problem("0+0+0+0+0=", "", "0", "chain", 1), "truncated", np.random.default_rng(seed))
        assert bad is None or bad.prompt.endswith("+=")


def test_a_kind_that_does_not_exist_is_refused():
    assert KINDS == ("wrong_key", "garbled", "truncated", "ambiguous")
    with pytest.raises(ConfigError, match="no corruption 'upside_down'"):
        corrupt(sample_problem("add", 1, np.random.default_rng(0)), "upside_down", np.random.default_rng(0))
