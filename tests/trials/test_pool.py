"""Trials in worker processes: never one twice, a dead or failing one costs itself only. Workers are small programs."""

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from saerl_core.compare.tables import from_tables, to_tables
from saerl_core.compare.trials import Point, Trial
from saerl_core.config.run import GradingConfig, TrainingConfig
from saerl_core.records import PolicyRef
from saerl_core.trials import pool
from saerl_core.trials.folders import TrialJob, accuracies, append_accuracy, read_job, read_trial, write_trial

WORKER = """
    import json, os, signal, sys, time
    from pathlib import Path
    from saerl_core.compare.trials import Point, Trial
    from saerl_core.trials.folders import read_job, write_trial
    import pandas as pd
    for line in sys.stdin:
        folder = Path(json.loads(line))
        job = read_job(folder)
        (folder / "began").open("a").write("x")
        if job.arm == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if job.arm == "fails":
            print(json.dumps({"error": "DataError: no prompt"}), flush=True)
            continue
        for step in range(3):
            print(json.dumps({"step": step + 1}), flush=True)
        items = pd.DataFrame({"item_id": ["a"], "n_samples": [4], "n_correct": [2]})
        write_trial(folder, Trial(job.arm, job.seed, (Point(0, 0, 0, 0.0, 0.5),), items))
        print(json.dumps({"done": True}), flush=True)
"""


def job(arm: str, seed: int) -> TrialJob:
    settings = (TrainingConfig(), GradingConfig())
    return TrialJob(
        arm,
        seed,
        PolicyRef("/nowhere", "p"),
        *settings,
        Path("prompts"),
        Path("held_out"),
        Path("clusters"),
        3,
        4,
        "plan",
        4,
    )


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER), encoding="utf-8")
    real = pool.subprocess.Popen
    started: list = []

    def start(command: list[str], **settings: object):
        started.append(real([sys.executable, str(script)], **settings))
        return started[-1]

    monkeypatch.setattr(pool.subprocess, "Popen", start)

    def make(*arms: str) -> list[Path]:
        made = []
        for seed, arm in enumerate(arms):
            one = job(arm, seed)
            folder = tmp_path / one.key("code")
            one.write(folder)
            made.append(folder)
        return made

    make.started = started
    return make


def test_every_trial_once_in_order_and_never_again(folders) -> None:
    made = folders("a", "b", "c", "d")
    said: list[str] = []
    outcome = pool.run_trials(made, 2, lambda progress: said.append(str(progress)))
    assert [trial.arm for trial in outcome.trials] == ["a", "b", "c", "d"]
    assert outcome.failures == ()
    assert said[0].startswith("trials: 0 done, 2 running, 2 waiting")
    assert said[-1].startswith("trials: 4 done, 0 running, 0 waiting")
    pool.run_trials(made, 2)
    assert [(folder / "began").read_text() for folder in made] == ["x"] * 4


def test_a_worker_that_dies_or_a_trial_that_fails_costs_itself_only(folders) -> None:
    outcome = pool.run_trials(folders("dies", "a", "fails", "b"), 1)
    assert [trial.arm for trial in outcome.trials] == ["a", "b"]
    assert {(f.arm, f.reason.split(",")[0]) for f in outcome.failures} == {
        ("dies", "its process was killed"),
        ("fails", "DataError: no prompt"),
    }


def test_no_worker_is_left_behind(folders) -> None:
    def interrupt(progress: pool.Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run_trials(folders("a"), 1, interrupt)
    assert [process.poll() is None for process in folders.started] == [False]


def test_a_folder_holds_the_whole_job_and_the_curve_survives_a_kill(tmp_path: Path) -> None:
    one = job("a", 3)
    one.write(tmp_path / "t")
    assert read_job(tmp_path / "t") == one
    append_accuracy(tmp_path / "t", 4, 0.25)
    append_accuracy(tmp_path / "t", 4, 0.5)  # a resumed trial scores the step again
    with (tmp_path / "t" / "curve.jsonl").open("a") as file:
        file.write("[8, 0.")
    assert accuracies(tmp_path / "t") == {4: 0.5}
    assert read_trial(tmp_path / "t") is None


def test_the_key_knows_everything_that_the_outcome_depends_on() -> None:
    one = job("a", 3)
    assert one.key("code") != one.key("other code")
    assert one.key("code") != job("a", 4).key("code")
    assert one.key("code") == job("a", 3).key("code")


def test_trials_survive_a_file_and_a_table(tmp_path: Path) -> None:
    items = pd.DataFrame({"item_id": ["a", "b"], "n_samples": [4, 4], "n_correct": [1, 2]})
    curve = (Point(0, 40, 400, 0.0, 0.1), Point(5, 140, 1400, 2.5, 0.3))
    trial = Trial("arm", 7, curve, items, 40, (0.5, 0.75))
    write_trial(tmp_path, trial)
    back = read_trial(tmp_path)
    assert back is not None
    assert (back.arm, back.seed, back.curve, back.label_rollouts, back.zero_std_frac) == (
        "arm",
        7,
        curve,
        40,
        (0.5, 0.75),
    )
    assert json.loads((tmp_path / "trial.json").read_text())["arm"] == "arm"
    tables = to_tables([trial], [])
    [again] = from_tables(tables.curves, tables.items, tables.shares)
    assert (again.curve, again.zero_std_frac, again.label_rollouts) == (curve, (0.625,), 40)
    assert again.items.equals(items)


def test_a_worker_has_the_threads_of_its_job(folders, monkeypatch) -> None:
    seen: list[str] = []
    start = pool.subprocess.Popen
    monkeypatch.setattr(
        pool.subprocess, "Popen", lambda c, **how: (seen.append(how["env"]["OMP_NUM_THREADS"]), start(c, **how))[1]
    )
    pool.run_trials(folders("a"), 2)
    assert seen == ["1"]


def test_a_worker_in_the_middle_of_a_trial_ends_with_whoever_started_it() -> None:
    worker = (
        "import os, threading, time; from saerl_core.trials.worker import _end_with; "
        "threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start(); "
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    starter = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    process = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "it goes on working in a folder that somebody else may be given"
        time.sleep(0.1)


PARENT = """
    import subprocess, sys
    from pathlib import Path
    from saerl_core.trials import pool
    real = pool.subprocess.Popen
    pool.subprocess.Popen = lambda command, **how: real([sys.executable, sys.argv[1]], **how)
    pool.run_trials([Path(folder) for folder in sys.argv[2:]], 2)
"""
SLOW = """
    import json, os, sys, threading, time
    from pathlib import Path
    from saerl_core.compare.trials import Point, Trial
    from saerl_core.trials.folders import read_job, write_trial
    from saerl_core.trials.worker import _end_with
    import pandas as pd
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    for line in sys.stdin:
        folder = Path(json.loads(line))
        job = read_job(folder)
        with (folder / "began").open("a") as file:
            file.write(f"{os.getpid()} ")
        time.sleep(0.0 if job.arm == "fast" else 2.0)
        items = pd.DataFrame({"item_id": ["a"], "n_samples": [4], "n_correct": [2]})
        write_trial(folder, Trial(job.arm, job.seed, (Point(0, 0, 0, 0.0, 0.5),), items))
        print(json.dumps({"done": True}), flush=True)
"""


def test_a_killed_comparison_goes_on_and_repeats_nothing_that_was_finished(tmp_path: Path) -> None:
    parent, slow = tmp_path / "parent.py", tmp_path / "slow.py"
    parent.write_text(textwrap.dedent(PARENT), encoding="utf-8")
    slow.write_text(textwrap.dedent(SLOW), encoding="utf-8")
    made = []
    for seed, arm in enumerate(["fast", "slow", "slow", "slow"]):
        one = job(arm, seed)
        made.append(tmp_path / one.key("code"))
        one.write(made[-1])
    command = [sys.executable, str(parent), str(slow), *map(str, made)]
    first = subprocess.Popen(command)
    until = time.monotonic() + 60
    while not all((folder / "began").exists() for folder in made[:3]):
        assert time.monotonic() < until
        time.sleep(0.05)
    first.kill()
    first.wait()
    running = {int(pid) for folder in made for pid in _began(folder)}
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in running):
        assert time.monotonic() < until, "a worker outlives the comparison"
        time.sleep(0.05)
    assert subprocess.run(command, check=False).returncode == 0
    assert all(read_trial(folder) is not None for folder in made)
    assert len(_began(made[0])) == 1, "it was finished"
    assert len(_began(made[1])) == 2, "it was running"


def _began(folder: Path) -> list[str]:
    path = folder / "began"
    return path.read_text(encoding="utf-8").split() if path.exists() else []
