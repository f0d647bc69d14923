import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from saerl_core.config import GradingConfig
from saerl_core.errors import DataError
from saerl_core.rollouts import grading
from saerl_core.rollouts.grading import Grader, Verdict

HANGS = r"\boxed{12345678901234567890123456789^{987654321}}"


@pytest.fixture(scope="module")
def math_grader() -> Iterator[Grader]:
    with Grader(GradingConfig(kind="math")) as grader:
        yield grader


def verdict_of(grader: Grader, completion: str, answer: str) -> bool | None:
    return grader.grade([completion], [answer])[0].correct


@pytest.mark.parametrize(
    ("completion", "answer", "expected"),
    [
        ("3+4#7", "7", Verdict(True, "equal")),
        ("3#4# 7 ", "7", Verdict(True, "equal")),
        ("3+4#7.0", "7", Verdict(False, "different")),  # exact
        ("3+4=7", "7", Verdict(False, "no answer")),
        ("3+4#", "7", Verdict(False, "no answer")),
    ],
)
def test_task_world(completion: str, answer: str, expected: Verdict) -> None:
    assert Grader(GradingConfig()).grade([completion], [answer]) == [expected]


@pytest.mark.parametrize(
    ("completion", "answer", "correct"),
    [
        (" 18 ", "$18$", True),
        ("it is \\boxed{a  b}.", "a b", True),
        ("it is a b", "a b", False),  # without a box the whole completion is the answer
        ("18.0", "18", False),
        (r"18 \boxed{18", "18", False),
        ("", "18", False),
    ],
)
def test_exact(completion: str, answer: str, correct: bool) -> None:
    assert verdict_of(Grader(GradingConfig(kind="exact")), completion, answer) is correct


@pytest.mark.parametrize(
    ("completion", "answer", "correct"),
    [
        (r"\boxed{0.5}", r"\frac12", True),
        (r"\boxed{3}", "27.0", False),
        (r"\boxed{27}", "27.0", True),
        (r"\boxed{x^2+7x+10=0}", "x^2-7x+10=0", False),  # a bare gold verifies against this one
        (r"\boxed{(2,1)}", "(1,2)", False),
        (r"\boxed{( 1, 2)}", "(1,2)", True),  # a bare gold is not readable
        (r"\boxed{10}", "10{,}000", False),  # a bare gold reads as 10
        (r"\boxed{10000}", "10{,}000", True),
        (r"\boxed{10080}", r"10,\!080", True),
        (r"\boxed{58,500}", "58500", True),
        (r"\boxed{1}", "1e10", False),
        (r"\boxed{10^{10}}", "1e10", True),
        (r"\boxed{5}\boxed{6}", "6", True),
        (r"\boxed{5}\boxed{6}", "5", False),
        (r"\boxed{6", "6", False),
        (r"\boxed{\text{Friday}}", "Friday", True),
        (r"\boxed{lube}", "blue", False),  # products of the same letters
        (r"\boxed{C}", r"\text{(C)}", True),
        (r"\boxed{\$18.9}", r"\$18.90", True),
        (r"\boxed{5\%}", "0.05", True),
        (r"\boxed{\frac{2}{4}}", "$\\frac{1}\n {2}$", True),  # white space inside the gold
        ("The answer is $\\frac{1}{2}$.", "0.5", True),
        ("so the answer is 42.", "42", True),
        ("I do not know", "42", False),
        ("   ", "42", False),
    ],
)
def test_math(math_grader: Grader, completion: str, answer: str, correct: bool) -> None:
    assert verdict_of(math_grader, completion, answer) is correct


def test_what_cannot_be_judged_is_unknown_and_counted() -> None:
    cases = [
        (r"\boxed{5}", " ", "gold not readable"),
        (r"\boxed{x}", "a + b + c", "gold not readable"),  # math-verify has it as a string only
        (r"\boxed{\,\\ }", "7", "answer not readable"),
        (r"\boxed{" + "1+" * 2000 + "1}", "7", "answer too long"),
    ]
    with Grader(GradingConfig(kind="math")) as grader:
        verdicts = grader.grade([c for c, _, _ in cases], [a for _, a, _ in cases])
        assert verdicts == [Verdict(None, reason) for _, _, reason in cases]
        grader.grade([r"\boxed{5}", r"\boxed{6}", "nothing"], ["5", "5", "5"])
        assert (grader.n_graded, grader.n_unknown) == (7, 4)
        assert grader.unknown_reasons()["gold not readable"] == 2


def test_an_answer_that_hangs_is_unknown_and_harms_no_other() -> None:
    completions = [HANGS, *(rf"\boxed{{{i}.0}}" for i in range(6)), "a " + HANGS]
    with Grader(GradingConfig(kind="math", timeout_s=0.5, n_workers=2)) as grader:
        verdicts = grader.grade(completions, ["7", *(str(i) for i in range(6)), "8"])
        assert [v.correct for v in verdicts] == [None, *[True] * 6, None]
        assert grader.unknown_reasons() == {"timeout": 2}
        assert verdict_of(grader, HANGS, "7") is None  # from the cache, without another half second
        assert grader.n_cache_hits == 1


def test_each_different_pair_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[tuple[str, str]]] = []
    with Grader(GradingConfig(kind="math")) as grader:

        def run(pairs: list[tuple[str, str]]) -> list[tuple[bool | None, str]]:
            asked.append(pairs)
            return [(True, "equal")] * len(pairs)

        monkeypatch.setattr(grader._pool, "run", run)
        grader.grade([r"\boxed{1/2}", r"so \boxed{ 1/2}", r"\boxed{2/4}"], ["0.5", "0.5", "0.5"])
        grader.grade([r"\boxed{1/2}"], ["0.5"])
    assert asked == [[("$0.5$", "$1/2$"), ("$0.5$", "$2/4$")], []]


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "_CACHE_SIZE", 3)
    with Grader(GradingConfig(kind="math")) as grader:
        for i in range(9):
            assert verdict_of(grader, rf"\boxed{{{i}.0}}", str(i)) is True
        assert len(grader._cache) <= 4


def test_many_threads_share_one_grader() -> None:
    """math-verify itself raises off the main thread; trainers call rewards from threads."""
    found: dict[int, list[bool | None]] = {}
    with Grader(GradingConfig(kind="math", n_workers=2)) as grader:

        def work(t: int) -> None:
            answers = [str(t * 100 + i) for i in range(20)]
            completions = [rf"\boxed{{{float(a) + i % 2}}}" for i, a in enumerate(answers)]
            found[t] = [v.correct for v in grader.grade(completions, answers)]

        threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {t: [True, False] * 10 for t in range(4)}


def test_a_grader_can_be_used_again_after_it_was_closed() -> None:
    grader = Grader(GradingConfig(kind="math"))
    for _ in range(2):
        with grader:
            assert verdict_of(grader, r"\boxed{1/2}", "0.5") is True
            grader._cache.clear()


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(DataError, match="2 completions for 1 gold answers"):
        Grader(GradingConfig()).grade(["a", "b"], ["a"])


def test_grading_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "zenml", "mlflow", "sympy", "math_verify", "pandas")
    code = f"import sys, saerl_core.rollouts.grading; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_agrees_with_stored_labels(math_grader: Grader, shared_data: Path) -> None:
    """800 stored labels of real model answers; the one that differs calls 10{,}000 and 10000 different."""
    file = shared_data / "qwenrm_samples100.jsonl.gz"
    if not file.is_file():
        pytest.skip(f"{file} is absent: set SAERL_SHARED_DATA to a folder that holds it")
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as stream:
        rows = [json.loads(line) for line in stream]
    items = [
        (row["answer"], response, score, given)
        for row in rows
        for response, score, given in zip(
            row["meta"]["response"], row["meta"]["score"], row["meta"]["pred"], strict=True
        )
    ]
    verdicts = math_grader.grade([response for _, response, _, _ in items], [answer for answer, _, _, _ in items])
    differ = {
        (answer, given)
        for (answer, _, score, given), verdict in zip(items, verdicts, strict=True)
        if verdict.correct is not score
    }
    assert len(items) == 800
    assert differ == {("10{,}000", "10000")}
