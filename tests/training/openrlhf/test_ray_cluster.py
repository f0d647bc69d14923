"""`launch: ray_job` on a real Ray cluster of this machine: the job server, the submission, the trainer as its job."""

import os
import shutil
import socket
import time
from contextlib import ExitStack, suppress

import psutil
import pytest

from saerl_core.training.consumed import batches_of
from saerl_core.training.openrlhf.files import log_files
from saerl_core.training.openrlhf.process import MARK, TrainerProcess
from saerl_core.training.run import train_policy
from tests.training.openrlhf.real_runs import CPU
from tests.training.world import FeedbackCurriculum, correct_counts, expected_batches, tiny_job, tiny_prompts

SECRET = "planted-value-of-a-token"  # looked for where it must not stand
STEPS, SIZE = 3, 4
START_S = 120.0

pytestmark = pytest.mark.openrlhf


def free_ports(n):
    """Ports that nobody has now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return [str(s.getsockname()[1]) for s in sockets]


@pytest.fixture
def cluster(openrlhf_python, tmp_path):
    """A head with two pretended GPUs; gives the address of its job server."""
    head, board, agent, client = free_ports(4)
    home = tmp_path / "ray.log"
    place = f"/tmp/saerl-ray-cluster-{os.getpid()}"  # for sockets: 107 characters at most
    command = [openrlhf_python.parent / "ray", "start", "--head", "--block", "--disable-usage-stats"]
    command += ["--num-gpus", "2", "--num-cpus", "6", "--object-store-memory", "200000000", "--temp-dir", place]
    command += ["--port", head, "--dashboard-host", "127.0.0.1", "--dashboard-port", board]
    command += ["--dashboard-agent-listen-port", agent, "--ray-client-server-port", client]
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {MARK: place}
    with TrainerProcess([str(part) for part in command], log=home, env=env) as ray:
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


def test_a_job_trains_in_the_planned_order_with_variables_that_stand_nowhere(
    cluster, openrlhf_python, policy, tmp_path, monkeypatch
):
    monkeypatch.setenv("PLANTED_TOKEN", SECRET)
    seen = []

    def look(step, metrics):
        seen.append((processes_with(SECRET, "arguments"), processes_with(SECRET, "environment")))

    settings = {**CPU, "python": str(openrlhf_python), "launch": "ray_job", "ray_address": cluster}
    settings |= {"env": {"NCCL_DEBUG": "INFO"}, "env_from": ("PLANTED_TOKEN",)}  # OpenRLHF's launch sets NCCL_DEBUG too
    job = tiny_job(policy, tmp_path / "work", n_steps=STEPS, backend="openrlhf", openrlhf=settings, device="auto")
    ids = list(tiny_prompts()["prompt_id"])
    result = train_policy(job, FeedbackCurriculum(ids, SIZE), look)
    counts = correct_counts(result.consumed)
    assert list(batches_of(result.consumed).values()) == expected_batches(ids, SIZE, counts)
    assert [len(arguments) for arguments, _ in seen] == [0] * STEPS
    assert any("openrlhf.launch" in line for line in seen[-1][1]), "the job has the variable"
    holding = [p.name for p in job.work_dir.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
    assert holding == []
    [log] = log_files(job.work_dir)
    assert "Ray job" not in log.read_text(), "no failure was told"
