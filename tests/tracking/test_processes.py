"""Runs whose process has ended do not stay RUNNING in MLflow."""

import subprocess
import sys

import mlflow
import psutil
import pytest

from tracking.processes import PROCESS_TAG, _name_of, mark_dead_runs, mark_own_runs, this_process


@pytest.fixture
def client(tmp_path):
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    client.create_experiment("saerl", artifact_location=tmp_path.as_uri())
    return client


def run_of(client, process, status=None):
    experiment = client.get_experiment_by_name("saerl").experiment_id
    run = client.create_run(experiment, tags={PROCESS_TAG: process} if process else {}, run_name=process)
    if status:
        client.set_terminated(run.info.run_id, status)
    return run.info.run_id


def status(client, run_id):
    return client.get_run(run_id).info.status


def ended():
    """Return the name of a process of this machine that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = _name_of(child.pid, psutil.Process(child.pid).create_time())
    child.communicate(b"\n")
    return name


def test_runs_of_dead_processes_are_killed_and_no_others(client):
    dead, alive = run_of(client, ended()), run_of(client, this_process())
    elsewhere, unknown = run_of(client, "another-host:1:1"), run_of(client, None)
    finished = run_of(client, ended(), "FINISHED")
    assert len(mark_dead_runs(client.tracking_uri)) == 1
    assert status(client, dead) == "KILLED"
    assert {status(client, run) for run in (alive, elsewhere, unknown)} == {"RUNNING"}
    assert status(client, finished) == "FINISHED"
    assert mark_dead_runs(client.tracking_uri) == []


def test_a_number_that_another_process_has_now_is_no_sign_of_life(client):
    host, number, started = this_process().rsplit(":", 2)
    old = run_of(client, f"{host}:{number}:{int(started) - 1000}")
    mark_dead_runs(client.tracking_uri)
    assert status(client, old) == "KILLED"


def test_an_interrupted_process_marks_its_own_run(client):
    own, failed, other = (
        run_of(client, this_process()),
        run_of(client, this_process(), "FAILED"),
        run_of(client, ended()),
    )
    mark_own_runs(client.tracking_uri)
    assert [status(client, run) for run in (own, failed, other)] == ["KILLED", "KILLED", "RUNNING"]
