import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from saerl_core.config.grading import GradingConfig
from saerl_core.errors import BackendError, ConfigError
from saerl_core.rollouts.grading import Grader
from saerl_core.training.openrlhf.loader import Place
from saerl_core.training.openrlhf.reward import RewardFunction, completion_of
from tests.training.openrlhf.jobs import make_job

KEYS = {"plan_step", "reward_error", "reward_unknown"}
HANGS = r"\boxed{12345678901234567890123456789^{987654321}}"
LABEL = Place("p0", 4, 1).label()


def function(tmp_path, **changes):
    job = make_job(tmp_path, **changes)
    job.save(tmp_path / "job.json")
    return RewardFunction.from_job(str(tmp_path / "job.json"))


def audit(tmp_path):
    files = sorted((tmp_path / "attempt-01" / "audit").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("answer", "reward"), [("7", 1.0), ("8", 0.0), ("7<eos>", 1.0), ("7<pad>8<eos>", 1.0), ("8<eos>7", 0.0)]
)
def test_grades_what_follows_the_prompt(tmp_path, answer, reward):
    got = function(tmp_path)(["3 + 4 = " + answer], ["3 + 4 = "], [LABEL])
    logs = {"plan_step": 4.0, "reward_error": 0.0, "reward_unknown": 0.0}
    assert got == {"rewards": reward, "scores": reward, "extra_logs": logs}


def test_writes_what_it_saw(tmp_path):
    function(tmp_path)(["q7"], ["q"], [LABEL])
    assert audit(tmp_path) == [
        {"step": 4, "slot": 1, "id": "p0", "reward": 1.0, "reason": "equal", "error": None, "correct": True}
    ]


def test_label_of_the_evaluation(tmp_path):
    got = function(tmp_path)(["q8"], ["q"], ["p1"])
    assert got["rewards"] == 1.0
    assert got["extra_logs"]["plan_step"] == -1.0
    assert [(line["step"], line["id"]) for line in audit(tmp_path)] == [(-1, "p1")]


@pytest.mark.parametrize(
    ("queries", "prompts", "labels", "error"),
    [
        (["q7"], ["q"], ["nobody"], "no answer is known for prompt 'nobody'"),
        (["q7"], ["q"], [Place("nobody", 2, 0).label()], "no answer is known"),
        (["q7"], ["q"], [None], "no answer is known"),
        (["q7"], ["q"], [{"id": "p0"}], "no answer is known"),
        (["other 7"], ["q"], [LABEL], "does not begin with its prompt 'p0'"),
        ([], [], [], "ValueError"),
        (["q7", "q7"], ["q", "q"], [LABEL, LABEL], "ValueError"),
        ([None], ["q"], [LABEL], "Error: "),
        (None, None, None, "Error: "),
    ],
)
def test_an_error_is_a_reward_of_zero_and_is_counted(tmp_path, queries, prompts, labels, error):
    got = function(tmp_path)(queries, prompts, labels)
    assert got["rewards"] == got["scores"] == 0.0
    assert got["extra_logs"].keys() == KEYS
    assert got["extra_logs"]["reward_error"] == 1.0
    [line] = audit(tmp_path)
    assert error in line["error"]
    assert line["reason"] == "error"


def test_a_grader_that_raises(tmp_path, monkeypatch):
    def fail(self, completions, answers):
        raise BackendError("the grader cannot start")

    monkeypatch.setattr(Grader, "grade", fail)
    got = function(tmp_path)(["q7"], ["q"], [LABEL])
    assert got["extra_logs"] == {"plan_step": 4.0, "reward_error": 1.0, "reward_unknown": 0.0}
    assert [line["error"] for line in audit(tmp_path)] == ["BackendError: the grader cannot start"]


def test_after_an_error_a_grader_is_free_again(tmp_path, monkeypatch):
    reward = function(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Grader, "grade", lambda *_: 1 / 0)
        reward(["q7"], ["q"], [LABEL])
    assert reward(["q7"], ["q"], [LABEL])["rewards"] == 1.0


def test_a_disk_that_is_full(tmp_path):
    reward = function(tmp_path)
    (tmp_path / "attempt-01" / "audit").write_text("a file where the folder should be", encoding="utf-8")
    got = reward(["q7"], ["q"], [LABEL])
    assert got["rewards"] == 0.0
    assert got["extra_logs"]["reward_error"] == 1.0


def test_a_monster_is_unknown_and_harms_no_other(tmp_path):
    answers = {"p0": "7", "p1": r"\frac{1}{2}"}
    reward = function(tmp_path, answers=answers, grading=GradingConfig(kind="math", timeout_s=0.5))
    got = reward(["q " + HANGS], ["q"], [LABEL])
    assert got["rewards"] == 0.0
    assert got["extra_logs"] == {"plan_step": 4.0, "reward_error": 0.0, "reward_unknown": 1.0}
    assert reward(["q \\boxed{0.5}"], ["q"], ["p1"])["rewards"] == 1.0
    assert [(line["reason"], line["correct"]) for line in audit(tmp_path)] == [
        ("answer too large", None),
        ("equal", True),
    ]


def test_a_function_of_ones_own(tmp_path):
    body = "def grade(completion, answer):\n    return {'7': 0.25, '8': 'no'}[completion]\n"
    (tmp_path / "own.py").write_text(body)
    grading = GradingConfig(kind="python", function="own:grade")
    reward = function(tmp_path, grading=grading, function_folders=(str(tmp_path),))
    got = [reward(["q" + answer], ["q"], [LABEL]) for answer in ("7", "8", "9")]
    assert [g["rewards"] for g in got] == [g["scores"] for g in got] == [0.25, 0.0, 0.0]
    assert [g["extra_logs"]["reward_error"] for g in got] == [0.0, 1.0, 1.0]
    right, *failed = audit(tmp_path)
    assert (right["reward"], right["correct"], right["reason"], right["error"]) == (
        0.25,
        False,
        "below correct_from",
        None,
    )
    assert [line["error"] for line in failed] == [
        "it returned 'no', which is no number in [0, 1]",
        "it raised KeyError: '9' (own.py:2: return {'7': 0.25, '8': 'no'}[completion])",
    ]


@pytest.mark.parametrize(
    ("changes", "words"), [({"function": "absent:grade"}, "there is no module 'absent'"), ({"code": "0"}, "was edited")]
)
def test_a_function_that_the_trainer_does_not_have_ends_it_at_once(tmp_path, changes, words):
    (tmp_path / "own.py").write_text("def grade(completion, answer): return 1\n")
    grading = GradingConfig(**{"kind": "python", "function": "own:grade", **changes})
    with pytest.raises(ConfigError, match=words):
        function(tmp_path, grading=grading, function_folders=(str(tmp_path),))


def test_called_from_many_threads(tmp_path):
    answers = {f"p{i}": str(i) for i in range(40)}
    reward = function(tmp_path, answers=answers, grading=GradingConfig(kind="math", n_workers=2))

    def call(i):
        given = i if i % 2 else i + 1
        return reward([f"q\\boxed{{{given}}}<eos>"], ["q"], [Place(f"p{i}", i, 0).label()])["rewards"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(40))) == [float(i % 2) for i in range(40)]
    assert sorted(line["step"] for line in audit(tmp_path)) == list(range(40))


def test_as_many_answers_at_once_as_configured(tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=10)
    grade = Grader.grade

    def meet(self, completions, answers):
        both.wait()
        return grade(self, completions, answers)

    monkeypatch.setattr(Grader, "grade", meet)
    reward = function(tmp_path, grading=GradingConfig(kind="exact", n_workers=2))
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda _: reward(["q7"], ["q"], [LABEL]), range(2)))
    assert [g["rewards"] for g in got] == [1.0, 1.0]


def test_two_functions_of_a_process_write_to_files_of_their_own(tmp_path):
    for _ in range(2):
        function(tmp_path)(["q7"], ["q"], [LABEL])
    assert len(list((tmp_path / "attempt-01" / "audit").iterdir())) == 2


@pytest.mark.parametrize("content", [None, "no json\n", '{"prompt_id": "p0"}\n', "[1]\n"])
def test_answers_that_cannot_be_read_end_the_trainer_at_once(tmp_path, content):
    make_job(tmp_path).save(tmp_path / "job.json")
    (tmp_path / "answers.jsonl").unlink()
    if content is not None:
        (tmp_path / "answers.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(BackendError, match="cannot be read"):
        RewardFunction.from_job(tmp_path / "job.json")


@pytest.mark.parametrize(
    ("query", "prompt", "completion"),
    [
        ("ab", "a", "b"),
        ("a<eos>b<eos>", "a<eos>", "b"),  # special tokens of the prompt are no end
        ("a b  c d", "a  b c", " d"),  # other blanks
        ("<eos> a b", "<eos>a", " b"),
        ("é = x", "e\u0301 =", " x"),  # composed by the tokenizer
        ("a", "a", ""),
        ("a", "ab", None),
        ("xa b", "a", None),
        ("", "a", None),
        ("b<pad>c", "", "b"),
    ],
)
def test_completion_of(query, prompt, completion):
    assert completion_of(query, prompt, ("<eos>", "<pad>", "")) == completion


def test_a_trainers_process_does_not_wait_for_pandas_and_the_whole_configuration():
    code = "import sys, saerl_core.training.openrlhf.reward; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "saerl_core.training.openrlhf.job_file" in loaded
    assert not {"pandas", "saerl_core.config.run", "torch"} & set(loaded)
