"""The trainer as a job of a Ray cluster, with a client that is none."""

import json
import os
import shlex
import signal
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from saerl_core.config.run import OpenRlhfConfig
from saerl_core.training.openrlhf import submit
from saerl_core.training.openrlhf.ray_jobs import job_name, submit_command

COMMAND = ["python", "-m", "launch", "it's; rm -rf $HOME", "--flag", ""]


class Client:
    """A cluster on which each look at a job moves it on to the next state of its list."""

    def __init__(self, *states: str, earlier: dict[str, str] | None = None, message: str | None = "why") -> None:
        self.states = {"saerl-x-02": list(states)} | {k: [v] for k, v in (earlier or {}).items()}
        self.earlier, self.message = list(earlier or {}), message
        self.submitted, self.stopped, self.lost = None, [], 0

    def submit_job(self, **job):
        self.submitted = job
        return job["submission_id"]

    def get_job_status(self, name):
        if self.lost:
            self.lost -= 1
            raise RuntimeError("connection refused")
        left = self.states[name]
        return SimpleNamespace(value=left.pop(0) if len(left) > 1 else left[0])

    def get_job_info(self, name):
        return SimpleNamespace(submission_id=name, message=self.message)

    def list_jobs(self):
        return [SimpleNamespace(submission_id=name, message=None) for name in [*self.earlier, None]]

    def stop_job(self, name):
        self.stopped.append(name)
        self.states[name] = ["STOPPED"]
        return True

    async def tail_job_logs(self, name):
        yield "step 0\n"
        yield "step 1\n"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("A", "1")
    monkeypatch.setenv("B", "of this machine")
    before = signal.getsignal(signal.SIGTERM)

    def start(client, sleep=lambda s: None):
        return submit.main(["http://h:1", "saerl-x-02", '["A"]', "--", *COMMAND], client, sleep)

    yield start
    signal.signal(signal.SIGTERM, before)


def test_the_command_names_cluster_job_variables_and_program(tmp_path):
    config = OpenRlhfConfig(ray_address="http://head:8265", env={"NCCL_DEBUG": "INFO"}, env_from=("HF_TOKEN",))
    attempt = tmp_path / "attempt-07"
    command = submit_command(config, Path("there/python"), attempt, ["a", "b c"])
    python, _, module, address, name, variables, separator, *rest = command
    assert (python, module, address) == ("there/python", submit.__name__, "http://head:8265")
    assert (separator, rest) == ("--", ["a", "b c"])
    wanted = ["HF_TOKEN", "NCCL_DEBUG", "PYTHONPATH", "PYTHONUNBUFFERED", "SAERL_TRAINER_OF"]
    assert json.loads(variables) == wanted, "names only: every user of the machine can read the values of arguments"
    assert name == job_name(attempt)
    assert name.endswith("-07")
    assert job_name(tmp_path / "attempt-08")[:-2] == name[:-2] != job_name(tmp_path / "b" / "attempt-07")[:-2]


def test_a_job_that_succeeds_ends_well_and_its_log_is_copied(run, capsys):
    client = Client("PENDING", "RUNNING", "RUNNING", "SUCCEEDED")
    assert run(client) == 0
    assert capsys.readouterr().out == "step 0\nstep 1\n"
    assert client.submitted["submission_id"] == "saerl-x-02"
    assert client.submitted["runtime_env"] == {"env_vars": {"A": "1"}}
    assert shlex.split(client.submitted["entrypoint"]) == COMMAND, "the cluster's shell sees one word an argument"
    assert client.stopped == []


@pytest.mark.parametrize(
    ("state", "said"),
    [("FAILED", "saerl: the Ray job saerl-x-02 failed: why"), ("STOPPED", "was stopped on the cluster: why")],
)
def test_failed_and_stopped_are_failures(run, capsys, state, said):
    assert run(Client("RUNNING", state)) == 1
    assert said in capsys.readouterr().out.splitlines()[-1]


def test_a_job_without_a_message_is_no_riddle(run, capsys):
    assert run(Client("FAILED", message=None)) == 1
    assert "Ray gives no reason" in capsys.readouterr().out


def test_ending_the_submitter_stops_the_job(run):
    client = Client("RUNNING")

    def sigterm(_):
        if not client.stopped:
            submit._leave(15, None)

    with pytest.raises(SystemExit) as caught:
        run(client, sigterm)
    assert caught.value.code == 143
    assert client.stopped == ["saerl-x-02"]


def test_the_death_of_the_driver_stops_the_job(run, monkeypatch):
    client, parents = Client("RUNNING"), iter([os.getppid(), os.getppid()])
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 1))
    with pytest.raises(SystemExit, match="the process that holds the curriculum is gone"):
        run(client)
    assert client.stopped == ["saerl-x-02"]


def test_a_job_that_an_earlier_driver_left_behind_is_stopped_first(run):
    earlier = {"saerl-x-01": "RUNNING", "saerl-x-00": "FAILED", "saerl-y-01": "RUNNING", "raysubmit_1": "RUNNING"}
    client = Client("SUCCEEDED", earlier=earlier)
    assert run(client) == 0
    assert client.stopped == ["saerl-x-01"]


def test_a_cluster_that_is_silent_for_a_while_is_waited_for(run, capsys):
    client = Client("RUNNING", "SUCCEEDED")
    submitted = client.submit_job

    def lose_some(**job):
        client.lost = 20
        return submitted(**job)

    client.submit_job = lose_some
    assert run(client) == 0


@pytest.mark.parametrize(("n_refused", "is_started"), [(5, True), (submit._MAX_STARTING_POLLS, False)])
def test_a_cluster_that_has_just_been_started_is_waited_for(run, n_refused, is_started):
    client, refused = Client("SUCCEEDED"), iter(range(n_refused))
    submitted = client.submit_job

    def not_yet(**job):
        if next(refused, None) is not None:
            raise RuntimeError("Request failed with status code 500: No available agent to submit job.")
        return submitted(**job)

    client.submit_job = not_yet
    with nullcontext() if is_started else pytest.raises(RuntimeError, match="No available agent"):
        assert run(client) == 0
    assert (client.submitted is not None) == is_started


def test_a_job_that_is_refused_for_another_reason_is_not_tried_again(run):
    client, tried = Client("SUCCEEDED"), []

    def refuse(**job):
        tried.append(job)
        raise RuntimeError("Request failed with status code 400: bad entrypoint")

    client.submit_job = refuse
    with pytest.raises(RuntimeError, match="bad entrypoint"):
        run(client)
    assert len(tried) == 1


def test_a_cluster_that_stays_silent_ends_the_wait(run):
    client = Client("RUNNING")

    def lose_all(**job):
        client.lost = submit._MAX_LOST_POLLS

    client.submit_job = lose_all
    with pytest.raises(SystemExit, match="does not answer any more: connection refused"):
        run(client)


def test_a_cluster_that_is_gone_for_good_is_told_in_one_sentence(run, capsys):
    client = Client("RUNNING")

    def gone(*_, **__):
        raise ConnectionError("connection refused")

    def lose_the_cluster(**job):
        client.get_job_status = client.stop_job = gone

    client.submit_job = lose_the_cluster
    with pytest.raises(SystemExit, match="does not answer any more: connection refused"):
        run(client)
    assert (
        "could not be stopped, and may go on (connection refused): ray job stop saerl-x-02" in capsys.readouterr().out
    )


def test_a_lost_log_does_not_end_the_training(run, capsys):
    client = Client("RUNNING", "SUCCEEDED")

    async def broken(name):
        yield "one line\n"
        raise RuntimeError("websocket closed")

    client.tail_job_logs = broken
    assert run(client) == 0
    assert "not shown any more: websocket closed" in capsys.readouterr().out
