"""Screening with real OpenRLHF, Ray and DeepSpeed on a CPU: what it sampled, and what reached its optimizer.

It is a job of a Ray cluster of this machine (`launch: ray_job`): job server, submission, the trainer as Ray's job.
"""

import os
import shutil
import socket
import time
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from saerl_core.tables import CONSUMED
from saerl_core.training.consumed import check_consumed
from saerl_core.training.openrlhf.files import log_files
from saerl_core.training.openrlhf.process import MARK, TrainerProcess
from saerl_core.training.openrlhf.trainer import OpenRlhfTrainer
from saerl_core.training.run import RecordedCurriculum
from tests.mlflow_server import free_ports
from tests.training.openrlhf.real_runs import (
    IDS,
    SIZE,
    STEPS,
    adam_steps,
    digests,
    real_job,
    tensors,
    updates,
    weights_file,
)
from tests.training.world import FeedbackCurriculum, correct_counts, expected_batches

GROUP = 8  # a tenth of all completions of one letter are right: two in five groups teach nothing
SECRET = "planted-value-of-a-token"  # looked for where it must not stand
START_S = 120.0

pytestmark = pytest.mark.openrlhf


@pytest.fixture(scope="module")
def screened(engine_python, policy, tmp_path_factory):
    work = tmp_path_factory.mktemp("screened") / "work"
    curriculum, seen = RecordedCurriculum(FeedbackCurriculum(IDS, SIZE)), []

    def look(step, metrics):
        seen.append((processes_with(SECRET, "arguments"), processes_with(SECRET, "environment")))

    with cluster(engine_python, tmp_path_factory.mktemp("cluster")) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTED_TOKEN", SECRET)
        env = {"NCCL_DEBUG": "INFO", "SAERL_TEST_WEIGHTS": str(weights_file(work, 1))}  # OpenRLHF sets the first, too
        as_job = {"launch": "ray_job", "ray_address": address, "env": env, "env_from": ("PLANTED_TOKEN",)}
        job = real_job(
            policy,
            work,
            engine_python,
            group_size=GROUP,
            save_every_steps=1,
            max_completion_tokens=1,
            kl_coef=0.0,
            screen="dynamic",
            max_rounds=6,
            warmup_steps=0,
            inner={"max_checkpoints": STEPS, **as_job},
        )
        result = OpenRlhfTrainer().train(job, curriculum, look)
    consumed = CONSUMED.check(result.consumed)
    return SimpleNamespace(work=work, result=result, asked=curriculum.batches, consumed=consumed, seen=seen)


@contextmanager
def cluster(python, folder):
    """A head with two pretended GPUs; gives the address of its job server."""
    head, board, agent, client = map(str, free_ports(4))
    place = f"/tmp/saerl-ray-cluster-{os.getpid()}"  # for sockets: 107 characters at most
    command = [python.parent / "ray", "start", "--head", "--block", "--disable-usage-stats"]
    command += ["--num-gpus", "2", "--num-cpus", "6", "--object-store-memory", "200000000", "--temp-dir", place]
    command += ["--port", head, "--dashboard-host", "127.0.0.1", "--dashboard-port", board]
    command += ["--dashboard-agent-listen-port", agent, "--ray-client-server-port", client]
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {MARK: place}
    with TrainerProcess([str(part) for part in command], log=folder / "ray.log", env=env) as ray:
        wait_for(int(board), ray)
        yield f"http://127.0.0.1:{board}"
    shutil.rmtree(place)


def wait_for(port, ray):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert ray.poll() is None, ray.last_words()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.2)
    pytest.fail(f"Ray's job server did not start; {ray.last_words()}")


def processes_with(text, where):
    """Names of the running processes that have a text in their arguments, or in their environment."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            have = process.cmdline() if where == "arguments" else process.environ().values()
            if any(text in part for part in have) and process.pid != os.getpid():
                found.add(" ".join(process.cmdline())[:200])
    return found


def test_an_online_curriculum_saw_every_reward_of_a_batch_before_the_next(screened):
    counts = correct_counts(screened.consumed)
    assert screened.asked == expected_batches(IDS, SIZE, counts)
    check_consumed(screened.asked, screened.consumed)
    assert len(screened.asked) == STEPS


def test_every_update_is_a_full_batch_of_groups_that_teach(screened):
    consumed, log = screened.consumed, screened.result.log
    trained = consumed[consumed["is_trained"]]
    assert set(trained.groupby("update").size()) == {SIZE}
    assert len(log) == trained["update"].nunique() < STEPS
    is_flat = consumed["n_correct"].isin([0, GROUP])
    before = consumed["update"] < consumed["update"].max()  # the last update takes what is left
    assert is_flat.any()
    assert not is_flat[before & consumed["is_trained"]].any()
    assert is_flat[before & ~consumed["is_trained"]].all()


def test_all_rollouts_are_counted_and_one_update_is_one_optimizer_step(screened, policy):
    n_updates, report = len(screened.result.log), screened.result.report
    assert report.n_rollouts == STEPS * SIZE * GROUP == report.n_generated_tokens, "one letter each"
    got = updates(screened.work)
    assert len(got) == n_updates
    assert got[0] != digests(tensors(policy), got[0])
    assert got[-1] == digests(tensors(screened.result.policy), got[-1])
    assert adam_steps(screened.work, "_actor", n_updates) == {n_updates}
    assert np.isfinite(screened.result.log["loss"]).all()


def test_a_variable_of_the_job_is_there_and_stands_nowhere(screened):
    assert len(screened.seen) >= len(screened.result.log)
    assert [len(arguments) for arguments, _ in screened.seen] == [0] * len(screened.seen)
    assert any("openrlhf.launch" in line for line in screened.seen[-1][1]), "the job has the variable"
    holding = [p.name for p in screened.work.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
    assert holding == []
    [log] = log_files(screened.work)
    assert "Ray job" not in log.read_text(), "no failure was told"
