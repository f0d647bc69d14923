import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from saerl_core.config.grading import GradingConfig
from saerl_core.errors import DataError
from saerl_core.rollouts import grading
from saerl_core.rollouts.grading import Grader, Verdict
from saerl_core.rollouts.math_pool import MathPool

MONSTERS = (
    "12345678901234567890123456789^{987654321}",
    "10^9!",
    "2^{3^{4^{5^6}}}",
    "9^{9^9}",
    "((5!)!)!",
    "1e999999999",
)


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
        (r"\boxed{x}", r"\int f", "gold not readable"),
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
    monsters = [r"\boxed{" + text + "}" for text in MONSTERS]
    completions = [*monsters, *(rf"\boxed{{{i}.0}}" for i in range(6))]
    with Grader(GradingConfig(kind="math", timeout_s=0.5, n_workers=2)) as grader:
        verdicts = grader.grade(completions, [*["7"] * len(MONSTERS), *(str(i) for i in range(6))])
        assert [v.correct for v in verdicts] == [*[None] * len(MONSTERS), *[True] * 6]
        assert set(grader.unknown_reasons()) == {"answer too large"}
        assert verdict_of(grader, monsters[0], "7") is None  # from the cache
        assert grader.n_cache_hits == 1


def test_pairs_that_end_a_process_end_the_second_reading_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = [("$7$", f"${base}^{{987654321}}$") for base in range(12345678901234567890, 12345678901234567900)]
    pool = MathPool(2, 0.3)
    outcomes = pool.run([*hangs, ("$1$", "$2/2$")])
    pool.close()
    assert {reason for _, reason in outcomes} == {"timeout", "batch limit"}
    assert sum(reason == "timeout" for _, reason in outcomes) <= 5


def test_each_unreadable_pair_is_asked_once_and_only_with_the_same_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[tuple[str, str]]] = []
    gold = r"\sum_{k=0}^{n} k a_k"
    with Grader(GradingConfig(kind="math")) as grader:

        def run(pairs: list[tuple[str, str]], on_done: object = None) -> list[tuple[bool | None, str]]:
            asked.append(pairs)
            return [(True, "equal")] * len(pairs)

        monkeypatch.setattr(grader._pool, "run", run)
        same = r"\boxed{\sum_{k=0}^{n} a_k k}"
        verdicts = grader.grade([same, "so " + same, r"\boxed{\sum_{k=1}^{n} a_k k}"], [gold] * 3)
        grader.grade([same], [gold])
    assert asked == [[(f"${gold}$", r"$\sum_{k=0}^{n} a_k k$")]]
    assert [v.correct for v in verdicts] == [True, True, None]


def test_a_verdict_names_what_was_compared(math_grader: Grader) -> None:
    verdict = math_grader.grade([r"first \boxed{1}, then \boxed{\frac{2}{4}}"], ["$0.5$"])[0]
    assert (verdict.correct, verdict.answer, verdict.gold, verdict.rule) == (True, r"\frac{2}{4}", "$0.5$", "box")


@pytest.mark.parametrize(
    ("kind", "completion", "gold", "correct"),
    [
        ("lm_eval", "3 + 4\n#### 1,234", "1234", True),
        ("lm_eval", "The final answer is $12$. I hope it is correct.", "12", True),
        ("lm_eval", r"\boxed{0.5}", r"\frac12", False),  # text only
        ("lm_eval", "first 3, then 12.", "12", True),
        ("qwen_math", r"\boxed{0.33333}", r"\frac{1}{3}", True),
        ("qwen_math", r"\boxed{50}", "0.5", True),  # percent, either way
        ("qwen_math", "The answer is 7.", "8", False),
        ("lighteval", r"so \boxed{0.333333}", r"\frac{1}{3}", True),  # rounded to six digits
        ("lighteval", r"so \boxed{2}", "3", False),
        ("math", r"so \boxed{0.333333}", r"\frac{1}{3}", False),
    ],
)
def test_modes_of_other_tools(kind: str, completion: str, gold: str, correct: bool) -> None:
    with Grader(GradingConfig.model_validate({"kind": kind})) as grader:
        assert verdict_of(grader, completion, gold) is correct


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
    heavy = ("torch", "transformers", "zenml", "mlflow", "sympy", "math_verify")
    code = f"import sys, saerl_core.rollouts.grading; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_agrees_with_stored_labels(math_grader: Grader, shared_data: Path) -> None:
    """800 stored labels of real answers: one calls 10{,}000 and 10000 different, one is a time with and without p.m."""
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
    assert differ == {("10{,}000", "10000"), ("4:30p..", "4:30")}
