"""What our commands start listens on loopback only; tests/pipelines/test_servers.py starts `make server` itself."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from saerl_core.config.run import RunConfig

ROOT = Path(__file__).resolve().parents[2]
LISTENERS = """
import json, os, psutil
from saerl_core.training.openrlhf.launch import start_ray
start_ray()
import ray
family = [psutil.Process(), *psutil.Process().children(recursive=True)]
heard = [c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
print("heard", json.dumps(heard))
ray.shutdown()
"""


def test_the_servers_of_make_server():
    from pipelines.servers import dashboard_command, mlflow_command

    for command in (mlflow_command("sqlite:///x.db", 1), dashboard_command(2)):
        assert command[command.index("--host") + 1] == "127.0.0.1"


def test_the_mlflow_ui(monkeypatch, tmp_path):
    from pipelines.__main__ import main

    started = []
    monkeypatch.setenv("SAERL_HOME", str(tmp_path))
    monkeypatch.setattr(os, "execv", lambda _, command: started.append(command))
    (tmp_path / "mlflow.db").touch()
    assert CliRunner().invoke(main, ["ui"]).exit_code == 0
    [command] = started
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_the_ray_job_server_that_is_asked_by_default():
    assert RunConfig().training.openrlhf.ray_address.startswith("http://127.0.0.1:")


@pytest.mark.openrlhf
def test_every_port_of_the_ray_that_a_training_starts(openrlhf_python, tmp_path):
    """Ray's own default on Linux is all interfaces."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [str(openrlhf_python), "-c", LISTENERS],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("heard ")]
    heard = json.loads(line.removeprefix("heard "))
    assert len(heard) > 5
    assert {ip.removeprefix("::ffff:") for ip in heard} == {"127.0.0.1"}
