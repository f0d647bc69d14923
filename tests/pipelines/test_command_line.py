"""The literal commands, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
import yaml

from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
pytestmark = OUR_WARNINGS_ARE_ERRORS
OPENRLHF_CONFIGS = [p for p in sorted((ROOT / "configs").glob("*.yaml")) if "backend: openrlhf" in p.read_text()]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A home in which nothing has happened yet."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ZENML_", "MLFLOW_"))}
    clean |= {"SAERL_HOME": str(tmp_path_factory.mktemp("cli")), "PATH": f"{BIN}:{os.environ['PATH']}"}
    return clean


def _call(command, environment, timeout=600):
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="module")
def ready(local_stack):
    """The home of these tests' process, whose cache holds the first steps of a small run."""
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}


def _config(tmp_path, parameters):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"parameters": parameters}))
    return str(path)


@pytest.mark.slow
def test_literal_command_survives_sigkill_and_resumes(ready, tmp_path):
    long_run = {**SMALL, "plan": {"n_steps": 24, "prompts_per_step": 8}, "training": {**SMALL["training"], "seed": 9}}
    command = ["zenml", "pipeline", "run", "saerl", "-c", _config(tmp_path, long_run)]
    n_killed = _statuses(ready).count("KILLED")
    with _training(command, ready, tmp_path / "first.log") as first:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    second = _call(command, ready)
    assert second.returncode == 0, second.stderr[-3000:]
    assert "Traceback" not in second.stdout + second.stderr
    found = _call([sys.executable, "-m", "pipelines", "where"], ready)
    assert "report.html" in found.stdout
    assert _resumed_from(ready) > 0
    assert _statuses(ready).count("KILLED") == n_killed + 1
    assert "RUNNING" not in _statuses(ready)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_stops_a_run_reads_what_is_lost_and_how_to_go_on(ready, tmp_path, number, code):
    own = {"training": {**SMALL["training"], "seed": code}, "plan": {"n_steps": 400, "prompts_per_step": 8}}
    path = _config(tmp_path, {**SMALL, **own})
    n_killed = _statuses(ready).count("KILLED")
    with _training([sys.executable, "-m", "pipelines", "run", "-c", path], ready, tmp_path / "log") as run:
        run.send_signal(number)
        assert run.wait(60) == code
    told = (tmp_path / "log").read_text()
    assert "Start the same command again to go on." in told.replace("\n", " ")
    assert "login --local" not in told
    assert "Traceback" not in told
    assert _statuses(ready).count("KILLED") == n_killed + 1


@contextmanager
def _training(command, environment, log):
    """The process of a run that has saved two checkpoints of its own; what it says goes into `log`."""
    work = Path(environment["SAERL_HOME"]) / "work"
    before, deadline = set(work.glob("train-*")), time.monotonic() + 400
    with log.open("w") as file:
        run = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while sum(len(list(f.glob("checkpoints/step-*"))) for f in set(work.glob("train-*")) - before) < 2:
                assert run.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, "no checkpoint appeared"
                time.sleep(0.05)
            yield run
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)


def _runs(environment, condition=""):
    """MLflow, and the pipeline's runs in it; the newest is the first."""
    client = mlflow.MlflowClient(f"sqlite:///{environment['SAERL_HOME']}/mlflow.db")
    experiment = client.get_experiment_by_name("saerl")
    return client, client.search_runs([experiment.experiment_id], condition) if experiment else []


def _statuses(environment):
    return [run.info.status for run in _runs(environment)[1]]


def _resumed_from(environment):
    client, [run, *_] = _runs(environment, "attributes.status = 'FINISHED'")
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "train/reward_mean")]
    assert sorted(steps) == list(range(24)), "the MLflow run of the resumed training lacks steps, or repeats some"
    stored = Path(client.download_artifacts(run.info.run_id, "diagnostics.json")).read_text()
    return json.loads(stored)["train_policy"]["train/resumed_from_step"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (
            {"plan": {"strategie": "saerl", "prompts_per_step": 0}, "nonsense": 1},
            ["3 problems", "plan.strategie", "mean plan.strategy?", "prompts_per_step = 0", "at least 1", "nonsense"],
        ),
        ({"training": {"algorithm": "ppo"}}, ["ppo", "OpenRLHF"]),
    ],
)
def test_a_wrong_configuration_is_one_message_before_any_work(ready, tmp_path, parameters, words):
    path = _config(tmp_path, parameters)
    for command in (
        ["zenml", "pipeline", "run", "saerl", "-c", path],
        [sys.executable, "-m", "pipelines", "run", "-c", path],
    ):
        done = _call(command, ready)
        output = done.stdout + done.stderr
        assert done.returncode != 0
        assert "Traceback" not in output
        assert "has started" not in output
        for word in words:
            assert word in output


@pytest.mark.parametrize("config", OPENRLHF_CONFIGS, ids=lambda path: path.name)
def test_show_command_prints_one_json_list_from_a_fresh_shell(environment, tmp_path, config):
    fresh = {**environment, "SAERL_HOME": str(tmp_path / "home")}
    done = _call([sys.executable, "-m", "pipelines", "show-command", "-c", str(config)], fresh)
    assert (done.returncode, done.stderr) == (0, "")
    command = json.loads(done.stdout)
    assert {type(part) for part in command} == {str}
    assert "saerl_core.training.openrlhf.launch" in command
    assert not (tmp_path / "home").exists(), "it starts nothing and writes nothing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parameters: {training: {backend: openrlhf}}", "name its Python interpreter or an image"),
        ("parameters: {training: {backend: embedded}}", "which starts no command"),
        ("parameters: [1, 2]", "it must hold sections"),
        ("parameters: {", "is not valid YAML"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_show_command_refuses_a_bad_configuration_with_exit_code_1(environment, tmp_path, text, words):
    file = tmp_path / "run.yaml"
    if text is not None:
        file.write_text(text)
    done = _call([sys.executable, "-m", "pipelines", "show-command", "-c", str(file)], environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_new_home_is_set_up_and_a_stack_without_a_tracker_is_refused(environment):
    done = _call([sys.executable, "-m", "pipelines", "setup"], environment)
    assert done.returncode == 0, done.stderr
    assert f"everything is written under {environment['SAERL_HOME']}" in done.stdout.replace("\n", "")
    done = _call(["zenml", "pipeline", "run", "saerl", "-s", "default"], environment)
    assert done.returncode != 0
    assert "no experiment tracker" in done.stderr
    assert "make setup" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_help_names_the_commands(environment):
    done = _call([sys.executable, "-m", "pipelines", "--help"], environment)
    assert done.returncode == 0
    for word in ("run", "validate", "show-config", "setup", "ui"):
        assert word in done.stdout


def test_nothing_is_written_outside_the_state_folder(ready):
    before = set(ROOT.iterdir())
    done = _call([sys.executable, "-m", "pipelines", "validate", "-c", "configs/embedded_vanilla.yaml"], ready)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in set(ROOT.iterdir()) - before} <= {".saerl", "__pycache__"}
