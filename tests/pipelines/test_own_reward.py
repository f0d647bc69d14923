"""A user's reward function through the command line, from a folder of the user's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS

ROOT = Path(__file__).resolve().parents[2]
FUNCTION = """
def grade(completion, answer):
    given = completion.rpartition("#")[2].strip()
    if not given:
        raise ValueError("no answer")
    return 1.0 if given == answer.strip() else 0.3 * (given[0] == answer[0])
"""
TINY = {  # what comes before the grading is in the cache after another file's run
    **SMALL,
    "pass_rates": {"n_labelled": 20, "n_rollouts": 4},
    "plan": {"strategy": "saerl", "n_steps": 2, "prompts_per_step": 8},
    "grading": {"kind": "python", "function": "own_rewards:grade"},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own_rewards.py").write_text(FUNCTION)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"parameters": TINY}))
    return tmp_path


def _call(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "500"}  # with the stack of the session's tests
    command = [sys.executable, "-m", "pipelines", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.slow
def test_a_run_from_the_folder_of_the_function(local_stack, saerl_home, folder):
    done = _call(folder, "run", "-c", "run.yaml")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "note (measure_pass_rates): " in said
    assert "it raised ValueError: no answer (own_rewards.py:5: " in said
    page = (saerl_home / "report.html").read_text()
    assert "function failed; the first failure" in page


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("absent:grade", "there is no module 'absent' in "),
        ("own_rewards:absent", "has no 'absent'"),
        ("own_rewards.grade", "which names no function"),
    ],
)
def test_validate_refuses_a_function_in_one_sentence(folder, function, words):
    done = _call(folder, "validate", "-c", "run.yaml", "--set", f"grading.function={function}")
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_validate_accepts_it(folder):
    done = _call(folder, "validate", "-c", "run.yaml")
    assert (done.returncode, done.stdout) == (0, "run.yaml is valid\n")


def test_a_pipeline_refuses_it_before_any_run(local_stack, folder, monkeypatch):
    from zenml.client import Client

    from pipelines.training import saerl_pipeline
    from saerl_core.errors import ConfigError

    monkeypatch.chdir(folder)
    before = Client().list_pipeline_runs().total
    with pytest.raises(ConfigError, match="has no 'absent'"):
        saerl_pipeline(grading={"kind": "python", "function": "own_rewards:absent"})
    assert Client().list_pipeline_runs().total == before
    prepared = saerl_pipeline._apply_config_parameters({"config": {}, "grading": TINY["grading"]})["config"]
    (folder / "own_rewards.py").write_text(FUNCTION + "\n# edited\n")
    edited = saerl_pipeline._apply_config_parameters({"config": {}, "grading": TINY["grading"]})["config"]
    assert None is not prepared.grading.code != edited.grading.code
