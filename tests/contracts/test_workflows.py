"""The workflows: their syntax, their security, and what the retraining's own lines do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from saerl_core.config.load import load_config
from saerl_core.errors import ConfigError
from saerl_core.promotion.changes import DATA_VERSION_FILE
from saerl_core.promotion.targets import TARGETS_FILE, target_for

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RETRAIN = ROOT / ".github" / "workflows" / "retrain.yml"


def _call(*command, **options):
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, timeout=120, check=False, **options
    )


def _schema(*files):
    return _call(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)


def _zizmor(*files):
    config = ROOT / ".github" / "zizmor.yml"
    return _call(BIN / "zizmor", "--offline", "--no-progress", "--config", config, *files)


@pytest.fixture(scope="module")
def retrain():
    content = yaml.safe_load(RETRAIN.read_text())
    content["on"] = content.pop(True)  # YAML 1.1 reads the key so
    return content


def test_they_are_workflows():
    done = _schema(*WORKFLOWS)
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing():
    done = _zizmor(*WORKFLOWS)
    assert done.returncode == 0, done.stdout


def test_a_breach_is_seen(tmp_path):
    bad = tmp_path / "bad.yml"
    shutil.copy(RETRAIN, bad)
    bad.write_text(bad.read_text().replace('--ref "$GITHUB_REF"', "-c ${{ github.event.inputs.config }}"))
    assert "template-injection" in _zizmor(bad).stdout
    bad.write_text(RETRAIN.read_text().replace("runs-on:", "run-on:"))
    assert _schema(bad).returncode != 0


def test_it_starts_for_data_configuration_schedule_and_people(retrain):
    assert {"schedule", "workflow_dispatch", "push", "pull_request"} == set(retrain["on"])
    assert set(retrain["on"]["workflow_dispatch"]["inputs"]) == {"config", "stack", "force"}
    assert retrain["on"]["push"] == {"branches": ["main"], "paths": ["configs/**", DATA_VERSION_FILE]}
    assert {DATA_VERSION_FILE, TARGETS_FILE, "configs/**"} <= set(retrain["on"]["pull_request"]["paths"])
    assert (ROOT / DATA_VERSION_FILE).is_file()


def test_one_run_a_ref_and_no_more_rights_than_reading(retrain):
    assert retrain["permissions"] == {"contents": "read"}
    assert retrain["concurrency"]["group"] == "retrain-${{ github.ref }}"
    assert retrain["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    assert not any("permissions" in job for job in retrain["jobs"].values())


def test_a_pull_request_sees_no_secret(retrain):
    smoke, real = retrain["jobs"]["smoke"], retrain["jobs"]["retrain"]
    assert smoke["if"] == "github.event_name == 'pull_request'"
    assert real["if"] == "github.event_name != 'pull_request'"
    assert "secrets" not in yaml.safe_dump(smoke)
    assert "secrets" in yaml.safe_dump(real)
    assert "secrets" not in yaml.safe_dump([step.get("run") for step in real["steps"]])


@pytest.mark.parametrize(
    ("ref", "config", "stack"),
    [
        ("refs/heads/main", "configs/kubernetes.yaml", "k8s-gpu"),
        ("main", "configs/kubernetes.yaml", "k8s-gpu"),
        ("refs/pull/7/merge", "configs/embedded_smoke.yaml", "saerl"),
        ("refs/tags/main", "configs/embedded_smoke.yaml", "saerl"),
        ("refs/heads/main-2", "configs/embedded_smoke.yaml", "saerl"),
    ],
)
def test_run_file_and_stack_by_branch(ref, config, stack):
    target = target_for(ref, ROOT)
    assert (target.config, target.stack) == (config, stack)
    found = load_config(str(ROOT / config))
    assert found.training.enabled
    assert found.evaluation.enabled
    assert (found.gate.model_name == "saerl") == (stack == "k8s-gpu"), "a smoke run would replace the real champion"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["No such file", "targets"]),
        ("targets: [{branch: main}]", ["{branch, config, stack}"]),
        ("targets: [{branch: 'release/*', config: a, stack: b}]", ["refs/heads/x", "release/*"]),
    ],
)
def test_a_ref_without_a_target_is_an_error(tmp_path, content, words):
    if content is not None:
        (tmp_path / "deploy").mkdir()
        (tmp_path / TARGETS_FILE).write_text(content)
    with pytest.raises(ConfigError) as error:
        target_for("refs/heads/x", tmp_path)
    for word in words:
        assert word in str(error.value)


@pytest.fixture
def play(retrain, tmp_path):
    """Run a job's own lines, with an environment as GitHub makes it."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)

    def run(job, ref, **values):
        step = next(s for s in retrain["jobs"][job]["steps"] if s.get("name") == "Retrain and judge")
        unset = dict.fromkeys(step.get("env", {}), "")  # an input or a secret that nobody gave is an empty text
        environment = {"PATH": os.environ["PATH"], "SAERL_HOME": str(tmp_path / "home"), "GITHUB_REF": ref}
        environment |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(tmp_path / "page.md")}
        done = _call("bash", "-e", "-c", step["run"], cwd=tmp_path, env=environment | unset | values)
        return done, (tmp_path / "page.md").read_text()

    return run


def test_without_secrets_it_is_red_and_says_which(play):
    done, page = play("retrain", "refs/heads/main")
    assert done.returncode == 1, done.stderr
    assert "the repository's secret of that name" in done.stderr
    assert page.startswith("# Retraining failed")


@pytest.mark.slow
def test_an_input_wins_over_the_branch_and_never_reaches_a_shell(play, tmp_path):
    done, page = play("smoke", "refs/pull/7/merge")
    assert done.returncode == 1
    assert "no stack 'saerl'" in page  # nobody has registered it in this folder
    trap = f"$(touch {tmp_path / 'trapped'})"
    done, page = play(
        "retrain", "refs/heads/main", SAERL_RETRAIN_STACK=trap, ZENML_STORE_URL=f"sqlite:///{tmp_path}/z.db"
    )
    assert done.returncode == 1
    assert f"no stack '{trap}'" in page
    assert not (tmp_path / "trapped").exists()
