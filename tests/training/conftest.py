import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.world import tiny_policy


@pytest.fixture(scope="session")
def policy(tmp_path_factory):
    return tiny_policy(tmp_path_factory.mktemp("policy") / "tiny")


@pytest.fixture(scope="session")
def killed():
    """Train in child processes that are killed in turn; returns what each left: its exit code and the checkpoints.

    killed(policy, work_dir, *kills, **settings), see tests/training/killed_run.py, which answers for the whole session.
    """
    program = [sys.executable, "-W", "ignore", "-m", "tests.training.killed_run"]
    root = Path(__file__).resolve().parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, cwd=root, stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:

        def run(policy, work_dir, *kills, **settings) -> list[str]:
            process.stdin.write(json.dumps([policy.path, str(work_dir), settings, kills]) + "\n")
            return json.loads(process.stdout.readline())

        yield run


@pytest.fixture
def steps():
    """An on_step that keeps what it was called with."""

    class Steps(list):
        def __call__(self, step, metrics):
            self.append((step, metrics))

    return Steps()
