"""A user's reward function: what it returns, how it fails, and what is refused before anything starts."""

import sys
from pathlib import Path

import pytest

from saerl_core.config.grading import GradingConfig
from saerl_core.errors import BackendError, ConfigError
from saerl_core.rollouts import worker_pool
from saerl_core.rollouts.grading import Grader
from saerl_core.rollouts.reward_pool import RewardPool, checked_function

MODULE = """
import os, sys, time
import numpy as np
from my_helper import HALF

def grade(completion, answer):
    print("said aloud", flush=True)
    sys.stderr.write("complained")
    return HALF if completion == answer else False

def numbers(completion, answer):
    return {"numpy": np.float32(0.25), "bool": np.bool_(True), "int": 1, "array": np.array(0.75)}[completion]

def rubbish(completion, answer):
    if completion == "raises":
        raise ValueError("no number\\nin it \\ud800")
    if completion == "text of the error raises":
        class Odd(Exception):
            def __str__(self): raise RuntimeError
        raise Odd
    if completion == "exits": sys.exit(3)
    if completion == "dies": os._exit(3)
    if completion == "hangs":
        while True: pass
    if completion == "sleeps": time.sleep(60)
    if completion == "recurses": return rubbish(completion, answer)
    if completion == "hoards": return len(bytearray(64 * 1024**3))
    if completion == "reads": return len(input())
    if completion == "forks":
        os.fork()
        return 1
    return {"nan": float("nan"), "high": 1.5, "low": -1, "text": "1.0", "none": None, "list": [1], "array": np.ones(2),
            "huge": 10**400}.get(completion, 1.0)

def one(completion): return 1
def three(completion, answer, more): return 1
def default(completion, answer, more=1): return 1
async def later(completion, answer): return 1
thing = 3
class Callable:
    def __call__(self, completion, answer): return 1
made = Callable()
"""
HELPER = "HALF = 0.5\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_rewards.py").write_text(MODULE)
    (tmp_path / "my_helper.py").write_text(HELPER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(function: str = "my_rewards:rubbish", **changes: object) -> GradingConfig:
    return GradingConfig.model_validate({"kind": "python", "function": function, "timeout_s": 0.5, **changes})


def verdict_on(completion: str, function: str = "my_rewards:rubbish", **changes: object):
    with Grader(config(function, **changes)) as grader:
        return grader.grade([completion], ["7"])[0]


def test_the_function_decides_and_may_print(folder: Path) -> None:
    with Grader(config("my_rewards:grade")) as grader:
        verdicts = grader.grade(["7", "8"], ["7", "7"])
    assert [(v.reward, v.correct, v.reason) for v in verdicts] == [
        (0.5, True, "rewarded"),
        (0.0, False, "below correct_from"),
    ]
    assert grader.n_unknown == 0


def test_from_where_on_a_reward_is_a_pass(folder: Path) -> None:
    strict = verdict_on("7", "my_rewards:grade", correct_from=0.51)
    assert (strict.correct, strict.reward) == (False, 0.5)


@pytest.mark.parametrize(("kind", "reward"), [("numpy", 0.25), ("bool", 1.0), ("int", 1.0), ("array", 0.75)])
def test_numbers_of_other_libraries(folder: Path, kind: str, reward: float) -> None:
    assert verdict_on(kind, "my_rewards:numbers").reward == reward


RUBBISH = {
    "raises": ("function failed", r"it raised ValueError: no number in it \ud800 (my_rewards.py:16: raise ValueError"),
    "text of the error raises": ("function failed", "it raised Odd (my_rewards.py:20: raise Odd)"),
    "exits": ("function failed", "it raised SystemExit: 3 (my_rewards.py:21"),
    "dies": ("crash", "its process ended during a call"),
    "hangs": ("timeout", "grading.timeout_s = 0.5 s"),
    "recurses": ("function failed", "RecursionError"),
    "hoards": ("function failed", "MemoryError"),
    "reads": ("function failed", "EOFError"),
    "nan": ("function failed", "it returned nan, which is not in [0, 1]"),
    "high": ("function failed", "it returned 1.5, which is not in [0, 1]"),
    "low": ("function failed", "it returned -1, which is not in [0, 1]"),
    "text": ("function failed", "it returned '1.0', which is no number in [0, 1]"),
    "none": ("function failed", "it returned None, which is no number in [0, 1]"),
    "list": ("function failed", "it returned a list, which is no number"),
    "array": ("function failed", "it returned a ndarray, which is no number"),
    "huge": ("function failed", "OverflowError"),
}


def test_every_kind_of_rubbish_is_named_and_harms_no_other(folder: Path) -> None:
    with Grader(config()) as grader:
        for name, (reason, words) in RUBBISH.items():
            bad, good = grader.grade([name, "fine"], ["7", "7"])
            assert (bad.correct, bad.reward, bad.reason) == (None, 0.0, reason), name
            assert words in bad.failure, name
            assert (good.correct, good.reward, good.failure) == (True, 1.0, ""), name
    assert (grader.n_unknown, grader.n_graded) == (len(RUBBISH), 2 * len(RUBBISH))
    assert "first failure: it raised ValueError" in grader.unknown_told()
    assert "\n" not in grader.unknown_told()
    grader.unknown_told().encode()


def test_a_function_that_sleeps_meets_the_wall_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "WALL_FACTOR", 1.0)
    assert verdict_on("sleeps").reason == "timeout"


def test_a_function_that_forks_gives_one_reply(folder: Path) -> None:
    with Grader(config()) as grader:
        assert [v.reward for v in grader.grade(["forks", "high", "fine"], ["7"] * 3)] == [1.0, 0.0, 1.0]


def test_more_than_half_fail(folder: Path) -> None:
    with Grader(config()) as grader:
        grader.grade(["fine", "none"], ["7", "7"])
        grader.refuse_mostly_failed()
        grader.grade(["nan"], ["7"])
        with pytest.raises(BackendError, match=r"'my_rewards:rubbish' failed on 2 of 3 .* failure: it returned None"):
            grader.refuse_mostly_failed()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("absent:grade", "there is no module 'absent' in "),
        ("my_rewards.inner:grade", "there is no module 'my_rewards.inner'|'my_rewards' is not a package"),
        ("my_rewards:absent", r"the module 'my_rewards' \(.*my_rewards.py\) has no 'absent'"),
        ("my_rewards:thing", "is a int, which cannot be called"),
        ("my_rewards:one", r"takes \(completion\), and is called with two texts"),
        ("my_rewards:three", r"takes \(completion, answer, more\), and is called with two texts"),
        ("my_rewards:later", "is async"),
        ("raises:grade", r"importing 'raises' raises ZeroDivisionError: division by zero \(raises.py:2: 1 / 0\)"),
        ("lacks:grade", "importing 'lacks' raises ModuleNotFoundError: No module named 'not_there'"),
        ("broken:grade", "importing 'broken' raises SyntaxError"),
        ("exits:grade", "importing 'exits' raises SystemExit: 4"),
        ("dies:grade", r"importing its module ends the process \(code 5\)"),
    ],
)
def test_refused_before_anything_starts(folder: Path, function: str, words: str) -> None:
    (folder / "raises.py").write_text("\n1 / 0\n")
    (folder / "lacks.py").write_text("import not_there\n")
    (folder / "broken.py").write_text("def grade(:\n")
    (folder / "exits.py").write_text("import sys; sys.exit(4)\n")
    (folder / "dies.py").write_text("import os; os._exit(5)\n")
    with pytest.raises(ConfigError, match=words) as refused:
        checked_function(config(function))
    assert "\n" not in str(refused.value)
    assert f"grading.function is '{function}'" in str(refused.value)


def test_an_import_that_hangs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "slow.py").write_text("import time; time.sleep(60)\n")
    monkeypatch.setattr(worker_pool, "START_S", 0.5)
    with pytest.raises(ConfigError, match="importing its module takes more than"):
        checked_function(config("slow:grade"))


@pytest.mark.parametrize("name", ["default", "made", "Callable"])
def test_what_can_be_called_with_two_texts(folder: Path, name: str) -> None:
    if name == "Callable":
        with pytest.raises(ConfigError, match="called with two texts"):
            checked_function(config("my_rewards:Callable"))
    else:
        assert checked_function(config(f"my_rewards:{name}")).code


def test_the_hash_follows_the_function_and_what_it_imports_beside_it(folder: Path) -> None:
    code = checked_function(config()).code
    (folder / "unrelated.py").write_text("1\n")
    assert checked_function(config()).code == code
    (folder / "my_helper.py").write_text("HALF = 0.25\n")
    helper = checked_function(config()).code
    (folder / "my_rewards.py").write_text(MODULE + "# edited\n")
    assert len({code, helper, checked_function(config()).code}) == 3


def test_the_hash_is_the_same_in_another_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    for file in folder.glob("*.py"):
        (other / file.name).write_text(file.read_text())
    assert checked_function(config(), [str(other)]).code == checked_function(config()).code


def test_a_module_of_a_package(folder: Path) -> None:
    package = folder / "mine" / "inner"
    package.mkdir(parents=True)
    (folder / "mine" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("from mine.inner.two import grade\n")
    (package / "two.py").write_text("def grade(completion, answer): return 1\n")
    pool = RewardPool(config("mine.inner:grade"))
    pool.start()
    pool.close()
    assert [str(f.relative_to(folder)) for f in pool.files] == [
        "mine/__init__.py",
        "mine/inner/__init__.py",
        "mine/inner/two.py",
    ]


def test_a_function_that_was_edited_while_the_run_went_on(folder: Path) -> None:
    checked = checked_function(config("my_rewards:grade"))
    (folder / "my_rewards.py").write_text(MODULE + "# edited\n")
    with Grader(checked) as grader, pytest.raises(ConfigError, match=r"my_rewards.py.*was edited"):
        grader.grade(["7"], ["7"])


def test_a_folder_of_the_search_path_of_this_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    with pytest.raises(ConfigError, match="there is no module"):
        checked_function(config())
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    assert checked_function(config()).code


def test_a_kind_without_a_function(folder: Path) -> None:
    assert checked_function(GradingConfig(kind="exact")) == GradingConfig(kind="exact")
    with pytest.raises(ConfigError, match="function is not set"):
        Grader(GradingConfig(kind="python"))
