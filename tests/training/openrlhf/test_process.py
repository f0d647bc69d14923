"""The trainer's process: nothing of it survives its driver, and how it ended is said."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from saerl_core.errors import BackendError, ConfigError
from saerl_core.training.openrlhf.process import (
    MARK,
    TrainerProcess,
    explain_exit,
    kill_family,
    last_error,
    only_driver,
    sigterm_raises,
    trainer_environment,
)
from saerl_core.training.run import train_policy
from tests.training.openrlhf.fakes import fake_python, openrlhf_settings
from tests.training.world import FeedbackCurriculum, tiny_job, tiny_prompts

ROOT = Path(__file__).resolve().parents[3]
IDS = list(tiny_prompts()["prompt_id"])
SLEEP = "import time; time.sleep(300)"


def alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(condition, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def started(tmp_path, code: str, grace_s: float = 5.0) -> TrainerProcess:
    env = {**os.environ, MARK: str(tmp_path)}
    return TrainerProcess([sys.executable, "-c", code], log=tmp_path / "log", env=env, grace_s=grace_s)


FAMILY = f"""
import os, subprocess, sys, time
far = {{k: v for k, v in os.environ.items() if k != {MARK!r}}}
pids = [
    subprocess.Popen([sys.executable, "-c", {SLEEP!r}]).pid,
    subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True).pid,
    subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True, env=far).pid,
]
open("pids.part", "w").write(" ".join(map(str, pids)))
os.rename("pids.part", "pids")
"""


def children(folder: Path, name: str = "pids") -> list[int]:
    wait_until((folder / name).exists)
    return [int(p) for p in (folder / name).read_text().split()]


def test_ending_a_trainer_ends_its_family_in_other_sessions_too(tmp_path):
    with started(tmp_path, f"{FAMILY}\n{SLEEP}") as trainer:
        pids = children(tmp_path)
        assert all(map(alive, [trainer.pid, *pids]))
    assert not [p for p in [trainer.pid, *pids] if alive(p)]


def test_a_trainer_that_ended_leaves_no_family_behind(tmp_path):
    """Its parent gone, a worker belongs to nobody: it is found by its session or by its mark."""
    with started(tmp_path, FAMILY) as trainer:
        near, far, stranger = children(tmp_path)
        wait_until(lambda: trainer.poll() == 0)
    assert not alive(near)
    assert not alive(far)
    os.kill(
        stranger, signal.SIGKILL
    )  # without session, mark and parent it cannot be known; Ray's end with their raylet


def test_a_trainer_that_does_not_listen_is_killed(tmp_path):
    code = f"import signal, pathlib; signal.signal(15, signal.SIG_IGN); pathlib.Path('pids').write_text('1'); {SLEEP}"
    with started(tmp_path, code, grace_s=0.3) as trainer:
        children(tmp_path)
    assert trainer.poll() == -signal.SIGKILL


def test_a_second_ctrl_c_kills_at_once(tmp_path, monkeypatch):
    trainer = started(tmp_path, SLEEP, grace_s=60.0)

    def interrupted(timeout=None):
        if timeout is not None:
            raise KeyboardInterrupt
        return wait()

    wait = trainer._child.wait
    monkeypatch.setattr(trainer._child, "terminate", lambda: None)
    monkeypatch.setattr(trainer._child, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.stop()
    assert trainer.poll() == -signal.SIGKILL


def test_a_program_that_cannot_be_started_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"'.*/nothing' cannot be started .*training\.openrlhf\.python"):
        TrainerProcess([str(tmp_path / "nothing")], log=tmp_path / "log", env={MARK: "x"})
    with pytest.raises(BackendError, match="free disk space"):
        TrainerProcess([sys.executable], log=tmp_path / "no" / "log", env={MARK: "x"})


def test_a_folder_has_one_driver(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from saerl_core.training.openrlhf.process import only_driver\n"
        f"with only_driver(Path({str(tmp_path)!r})): sys.stdout.write('held\\n'); sys.stdout.flush(); time.sleep(300)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BackendError, match=f"process {other.pid} trains in .* already"), only_driver(tmp_path):
            pass
        other.kill()
        other.wait()
        with only_driver(tmp_path):
            assert (tmp_path / "driver.lock").read_text() == str(os.getpid())


def test_leftovers_of_another_folder_are_left_alone(tmp_path):
    with started(tmp_path, SLEEP) as trainer:
        assert kill_family(str(tmp_path / "another")) == 0
        assert alive(trainer.pid)
        assert kill_family(str(tmp_path)) == 1
        wait_until(lambda: trainer.poll() == -signal.SIGKILL)


def test_leftover_agents_of_ray_are_known_by_their_title_and_folder(tmp_path):
    """Their title has overwritten their environment, and their parent is gone."""
    (tmp_path / "work" / "attempt-01").mkdir(parents=True)

    def sleeper(title, folder, **env):
        return subprocess.Popen([title, "300"], executable="/bin/sleep", cwd=folder, env=env, start_new_session=True)

    agent = sleeper("ray::DashboardAgent", tmp_path / "work" / "attempt-01")
    others = [
        sleeper("ray::DashboardAgent", tmp_path),
        sleeper("ray::DashboardAgent", tmp_path / "work", HOME="somebody's"),
        sleeper("sleep", tmp_path / "work"),
    ]
    try:
        assert kill_family(str(tmp_path / "work")) == 1
        assert agent.wait(30) == -signal.SIGKILL
        assert all(alive(other.pid) for other in others)
    finally:
        for process in (agent, *others):
            process.kill()
            process.wait()


def test_sigterm_becomes_an_exit_and_the_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, sigterm_raises():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-9, "signal 9 (SIGKILL), most likely because the machine ran out of memory"),
        (137, "signal 9 (SIGKILL), most likely because the machine ran out of memory"),
        (-11, "signal 11 (SIGSEGV)"),
        (134, "signal 6 (SIGABRT)"),
        (0, "ended before the plan did"),
        (3, "failed with exit code 3"),
        (255, "failed with exit code 255"),
        (None, "was ended"),
    ],
)
def test_exit_codes_are_explained(code, said):
    assert said in explain_exit(code)


ENGINE_DIED = """\x1b[36m(RolloutRayActor pid=7)\x1b[0m (EngineCore pid=9) ERROR 11-27 03:06 [core.py:1374] KeyError: 1
\x1b[36m(RolloutRayActor pid=7)\x1b[0m (EngineCore pid=9) ERROR 11-27 03:06 [core.py:1374]   File "core.py", line 2
\x1b[36m(RolloutRayActor pid=7)\x1b[0m (EngineCore pid=9) torch.OutOfMemoryError: CUDA out of memory
\x1b[36m(RolloutRayActor pid=7)\x1b[0m RuntimeError: Engine core initialization failed. See root cause above.
OSError: [Errno 9] Bad file descriptor
saerl: the trainer failed: OSError: [Errno 9] Bad file descriptor
"""  # as OpenRLHF 0.11.2 and vLLM 0.29.0 end; the error is another one


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        (
            "Traceback (most recent call last):\n  File x\nValueError: first\ntorch.OutOfMemoryError: CUDA\nbye",
            "torch.Out",
        ),
        ("\x1b[36m(PPOTrainer pid=7, ip=1.2.3.4)\x1b[0m RuntimeError: deep\nsaved\n", "RuntimeError: deep"),
        ("(pid=12) KeyError: 'episode'\rEpisode: 3%|\n", "KeyError: 'episode'"),
        ("saerl: for people\nValueError: for machines\n", "for people"),
        (ENGINE_DIED, "vLLM's engine did not start: torch.OutOfMemoryError: CUDA out of memory"),
        ("x" * 200_000 + "\nValueError: after much\n", "ValueError: after much"),
        (b"\xff\xfe\nOSError: odd bytes\n", "OSError: odd bytes"),
    ],
)
def test_the_last_error_is_found_in_a_log(tmp_path, log, said):
    file = tmp_path / "log"
    file.write_bytes(log if isinstance(log, bytes) else log.encode())
    assert last_error(file).startswith(said)
    assert bool(last_error(file)) == bool(said)
    assert last_error(tmp_path / "absent") == ""


def test_the_environment_is_the_trainers(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "ours")
    monkeypatch.setenv("VIRTUAL_ENV", "ours")
    monkeypatch.setenv("HF_TOKEN", "kept")
    env = trainer_environment(Path("there/bin/python"), tmp_path / "code", tmp_path, {"NCCL_DEBUG": "INFO"})
    assert env["PYTHONPATH"] == str(tmp_path / "code")
    assert "VIRTUAL_ENV" not in env
    assert (env["HF_TOKEN"], env["NCCL_DEBUG"], env[MARK]) == ("kept", "INFO", str(tmp_path))
    assert env["PATH"].split(os.pathsep)[0] == "there/bin"
    more = trainer_environment(None, tmp_path / "code", tmp_path, {"PYTHONPATH": "theirs"})
    assert more["PYTHONPATH"] == f"{tmp_path / 'code'}{os.pathsep}theirs"


@pytest.fixture
def job(policy, tmp_path):
    return tiny_job(policy, tmp_path / "work", **openrlhf_settings(fake_python(tmp_path), "children:1 hang:1"))


def test_ctrl_c_ends_the_trainer_and_its_children(job, monkeypatch):
    pids = []

    def interrupt(*_):
        if files := list(job.work_dir.glob("attempt-*/children")):
            pids.extend(children(files[0].parent, "children"))
            raise KeyboardInterrupt

    monkeypatch.setattr("saerl_core.training.openrlhf.conversation.Conversation._look", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_policy(job, FeedbackCurriculum(IDS, 4), lambda *_: None)
    assert len(pids) == 3
    assert not [p for p in pids if alive(p)]


@pytest.fixture
def driver(job, policy):
    """A driver in a process of its own, whose trainer hangs in step 1 with two children; yields it with the pids."""
    code = (
        "import sys; from pathlib import Path; from saerl_core.policy.storage import policy_id_of\n"
        "from saerl_core.records import PolicyRef; from saerl_core.training.run import train_policy\n"
        "from tests.training.world import *; from tests.training.openrlhf.fakes import openrlhf_settings\n"
        "policy, work, python = sys.argv[1:]\n"
        "job = tiny_job(PolicyRef(policy, policy_id_of(policy)), Path(work),\n"
        "               **openrlhf_settings(Path(python), 'children:1 hang:1'))\n"
        "train_policy(job, FeedbackCurriculum(list(tiny_prompts()['prompt_id']), 4), lambda *_: None)\n"
    )
    command = [sys.executable, "-c", code, policy.path, str(job.work_dir), job.config.openrlhf.python]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        wait_until(lambda: list(job.work_dir.glob("attempt-01/children")), 60)
        yield process, children(job.work_dir / "attempt-01", "children")
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_to_the_driver_ends_the_trainer_and_its_children(driver, number):
    process, pids = driver
    assert all(map(alive, pids))
    process.send_signal(number)
    assert process.wait(30) in (128 + number, 130, -number)
    assert not [p for p in pids if alive(p)]


def test_the_next_start_ends_the_trainer_of_a_driver_that_was_killed(driver, job, policy, steps):
    """The fake trainer does not watch its driver as the real one does: it would hang forever."""
    process, pids = driver
    process.kill()
    process.wait(30)
    assert all(map(alive, pids)), "a SIGKILLed driver can end nothing"
    healthy = tiny_job(policy, job.work_dir, **openrlhf_settings(Path(job.config.openrlhf.python)))
    train_policy(healthy, FeedbackCurriculum(IDS, 4), steps)
    assert not [p for p in pids if alive(p)]
    assert [s for s, _ in steps] == [0, 1, 2, 3, 4, 5]
