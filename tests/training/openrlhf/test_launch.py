import json
import signal
import subprocess
import sys
import threading
import types
from importlib.metadata import PackageNotFoundError

import pytest

from saerl_core.errors import BackendError
from saerl_core.training.openrlhf import launch
from saerl_core.training.openrlhf.controller import PlanNotInForceError, require_loader, require_planned, scalars
from saerl_core.training.openrlhf.loader import CurriculumLoader, Place
from saerl_core.training.openrlhf.mailbox import Mailbox
from tests.training.openrlhf.jobs import make_job


class FakeRay(types.ModuleType):
    """A cluster with so many GPUs; `free` gives how many are free at each look."""

    def __init__(self, total, free=()):
        super().__init__("ray")
        self.total, self.free, self.started, self.n_shutdowns = total, list(free), [], 0

    def init(self, **settings):
        self.started.append(settings)

    def shutdown(self):
        self.n_shutdowns += 1

    def cluster_resources(self):
        return {"CPU": 8.0, **({"GPU": float(self.total)} if self.total else {})}

    def available_resources(self):
        return {"GPU": float(self.free.pop(0) if len(self.free) > 1 else self.free[0] if self.free else self.total)}


@pytest.fixture
def ray(monkeypatch):
    def use(total, free=()):
        fake = FakeRay(total, free)
        monkeypatch.setitem(sys.modules, "ray", fake)
        monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "1")  # tests/security starts a real one on loopback
        return fake

    return use


@pytest.fixture
def ran(monkeypatch):
    """OpenRLHF is there and its command line does nothing but note its flags."""
    flags = []
    monkeypatch.setattr(launch, "version", lambda name: "0.11.2")
    monkeypatch.setattr(launch, "require_own_code", lambda job: None)
    monkeypatch.setattr(launch, "install", lambda job: None)
    monkeypatch.setattr(launch, "run_cli", flags.extend)
    return flags


def run(tmp_path, **changes):
    make_job(tmp_path, **changes).save(tmp_path / "job.json")
    return launch.main([str(tmp_path / "job.json"), "--", "--a", "1"])


def last_line(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_runs_the_command_line_with_its_flags(tmp_path, ray, ran, monkeypatch):
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    cluster = ray(2)
    assert run(tmp_path) == 0
    assert ran == ["--a", "1"]
    [settings] = cluster.started
    assert settings["runtime_env"]["env_vars"]["NCCL_DEBUG"] == "INFO"  # a user's own value counts
    assert settings["runtime_env"]["env_vars"]["RAY_ENABLE_ZERO_COPY_TORCH_TENSORS"] == "1"


@pytest.mark.parametrize(("found", "words"), [("0.11.3", "openrlhf 0.11.3 is"), (None, "openrlhf is not installed")])
def test_another_version_is_refused_with_both_named(tmp_path, ran, monkeypatch, capsys, found, words):
    def version(name):
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(launch, "version", version)
    assert run(tmp_path) == 4
    line = last_line(capsys)
    assert line.startswith(f"saerl: {words}")
    assert "0.11.2" in line
    assert not ran


@pytest.mark.parametrize("total", [0, 7])
def test_too_few_gpus_are_refused_before_anything_waits(tmp_path, ray, ran, capsys, total):
    ray(total)
    assert run(tmp_path, n_gpus=8) == 3
    assert last_line(capsys).startswith(f"saerl: the training needs 8 GPUs, but Ray has {total};")
    assert not ran


def test_gpus_that_others_use_are_waited_for_a_little(ray):
    free = [0, 0, 8]
    ray(8, free=free)
    assert launch.require_gpus(8, wait_s=5.0) is None, "no error"


def test_gpus_that_stay_in_use_are_refused(ray):
    ray(8, free=[3])
    with pytest.raises(launch.NotEnoughGpusError, match="only 3 of Ray's 8 are free"):
        launch.require_gpus(8, wait_s=0.05)


def test_flags_that_openrlhf_refuses(tmp_path, ray, ran, monkeypatch, capsys):
    ray(1)
    monkeypatch.setattr(launch, "run_cli", lambda flags: sys.exit(2))
    assert run(tmp_path) == 2
    assert last_line(capsys) == "saerl: OpenRLHF refused its command line; its own message stands above this line"


def test_told_to_end(tmp_path, ray, ran, monkeypatch, capsys):
    ray(1)
    monkeypatch.setattr(launch, "run_cli", lambda flags: sys.exit(15))
    assert run(tmp_path) == 15
    assert last_line(capsys) == "saerl: the trainer was told to end (code 15)"


@pytest.mark.parametrize("argv", [[], ["job.json"], ["job.json", "--a"]])
def test_usage(argv, capsys):
    assert launch.main(argv) == 1
    assert last_line(capsys).startswith("saerl: usage: ")


def test_job_file_that_is_absent(tmp_path, capsys):
    assert launch.main([str(tmp_path / "job.json"), "--"]) == 1
    assert "saerl: the job file" in last_line(capsys)


def test_an_error_of_openrlhf_keeps_its_traceback(tmp_path, ray, ran, monkeypatch, capsys):
    ray(1)

    def fail(flags):
        raise ValueError("Insufficient batch size")

    monkeypatch.setattr(launch, "run_cli", fail)
    assert run(tmp_path) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1] == "saerl: the trainer failed: ValueError: Insufficient batch size"


TAKEN = "DistNetworkError: The server socket has failed to listen. port: 40029, code: -98, name: EADDRINUSE"


@pytest.fixture
def started_again(monkeypatch):
    """The command line finds a port taken, whenever it starts; what would replace the process."""
    found = []

    def fail(flags):
        raise RuntimeError(TAKEN)

    def replace_process(program, argv, env):
        found.append((program, argv, env["SAERL_TRAINER_STARTS"]))
        monkeypatch.setenv("SAERL_TRAINER_STARTS", env["SAERL_TRAINER_STARTS"])

    monkeypatch.setattr(launch, "run_cli", fail)
    monkeypatch.setattr(launch.os, "execve", replace_process)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "launch", "job.json"])
    return found


def test_a_port_that_another_program_took_is_another_start(tmp_path, ray, ran, started_again, capsys):
    cluster = ray(1)
    assert [run(tmp_path) for _ in range(3)] == [1, 1, 1]
    assert started_again == [(sys.executable, [sys.executable, "-m", "launch", "job.json"], n) for n in ("1", "2")]
    assert cluster.n_shutdowns == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("saerl: ")]
    assert "saerl: another program took a port that the trainer had chosen; it starts again (1 of 2)" in said
    assert said[-1] == f"saerl: the trainer failed: {TAKEN}"


def test_a_port_that_is_missed_after_the_first_rollout_ends_the_attempt(tmp_path, ray, ran, started_again, capsys):
    ray(1)
    audit = make_job(tmp_path).audit_dir
    audit.mkdir()
    (audit / "host-1-0.jsonl").write_text("{}\n")
    assert run(tmp_path) == 1
    assert not started_again
    assert last_line(capsys) == f"saerl: the trainer failed: {TAKEN}"


def test_ends_when_the_driver_is_gone():
    driver = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended = threading.Event()
    launch.watch_driver(driver.pid, ended.set)
    assert not ended.wait(0.5)
    driver.send_signal(signal.SIGKILL)  # not waited for: a zombie is gone, too
    assert ended.wait(10)
    driver.communicate()


def test_driver_that_was_gone_before(tmp_path):
    driver = subprocess.Popen([sys.executable, "-c", ""])
    driver.wait()
    ended = threading.Event()
    launch.watch_driver(driver.pid, ended.set)
    assert ended.wait(10)


def test_the_process_really_ends(tmp_path):
    """In a process of its own: the main thread sleeps as it would in ray.get."""
    program = (
        "import time\nfrom saerl_core.training.openrlhf import launch\n"
        "launch.watch_driver(int(input()))\ntime.sleep(60)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", ""])
    driver.wait()
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=f"{driver.pid}\n",
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 6
    assert done.stderr == "saerl: the process that holds the curriculum is gone; this trainer ends\n"


def test_a_driver_elsewhere_is_not_watched():
    before = threading.active_count()
    launch.watch_driver(None)
    assert threading.active_count() == before


def test_probe_answers_in_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "saerl_core.training.openrlhf.probe"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout).keys() == {"openrlhf", "ray", "python", "saerl"}
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_a_model_is_refused_unless_trusted(tmp_path, file):
    folder = tmp_path / "policy"
    folder.mkdir()
    for name in ("config.json", "tokenizer_config.json"):
        content = {"model_type": "qwen2", **({"auto_map": {"AutoConfig": "evil.Config"}} if name == file else {})}
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BackendError, match="brings Python code of its own"):
        launch.require_own_code(make_job(tmp_path))
    launch.require_own_code(make_job(tmp_path, trust_remote_code=True))


# The controller's own checks, without OpenRLHF.


def labels(step, slots):
    return [Place(f"p{slot}", step, slot).label() for slot in slots]


@pytest.mark.parametrize(
    ("got", "sentence"),
    [
        (labels(0, [0, 0, 1, 1]), "belongs to step 0"),
        ([*labels(1, [0, 0, 1]), "p1"], "prompt 'p1', which belongs to step -1"),
        (labels(1, [0, 0, 1]), r"3 rollouts, \[2, 1\] in its slots"),
        (labels(1, [0, 0, 1, 1, 1]), "5 rollouts"),
        (labels(1, [0, 0, 1, 1, 2]), "5 rollouts"),
        ([], "0 rollouts"),
    ],
)
def test_rollouts_of_another_batch_are_refused(tmp_path, got, sentence):
    with pytest.raises(PlanNotInForceError, match=sentence):
        require_planned(got, 1, make_job(tmp_path))


def test_rollouts_of_the_planned_batch_in_any_order(tmp_path):
    require_planned(labels(1, [1, 0, 0, 1]), 1, make_job(tmp_path))


class NoRows:
    """A dataset without a row."""

    labels = ()

    def __len__(self):
        return 0

    __getitem__ = collate_fn = None


@pytest.mark.parametrize("who", ["trainer", "generator"])
def test_a_loader_that_is_not_ours_is_refused(tmp_path, who):
    job = make_job(tmp_path)
    ours, other = (CurriculumLoader(NoRows(), Mailbox(job.mailbox_dir), job) for _ in range(2))
    generator = types.SimpleNamespace(prompts_dataloader=other if who == "generator" else ours)
    trainer = types.SimpleNamespace(prompts_dataloader=other if who == "trainer" else ours, samples_generator=generator)
    with pytest.raises(PlanNotInForceError, match="not from the curriculum"):
        require_loader(trainer, ours)
    trainer.prompts_dataloader = generator.prompts_dataloader = ours
    require_loader(trainer, ours)


def test_scalars_of_logs():
    import numpy as np
    import torch

    logs = {"a": 1, "b": torch.tensor(0.5), "c": torch.ones(2), "d": ["text", 1], "e": np.float32(2), "f": None}
    assert scalars(logs) == {"a": 1.0, "b": 0.5, "e": 2.0}
