"""`--set` and the console script: the same configuration in every command, and in the run itself."""

import json
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.__main__ import main
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ["--set", "plan.n_steps=5", "--set", "plan.strategy=vanilla"]


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("parameters: {seed: 3, plan: {n_steps: 9, prompts_per_step: 8}}\nenable_cache: false\n")
    return str(path)


def test_show_config_shows_what_was_set(run_file):
    done = CliRunner().invoke(main, ["show-config", "-c", run_file, *SETTINGS])
    shown = json.loads(done.stdout)
    assert shown["plan"]["n_steps"] == 5
    assert (shown["seed"], shown["plan"]["prompts_per_step"], shown["plan"]["strategy"]["name"]) == (3, 8, "vanilla")


def test_validate_says_what_it_looked_at(run_file):
    done = CliRunner().invoke(main, ["validate", "-c", run_file, *SETTINGS])
    assert done.stdout.strip() == f"{run_file} with plan.n_steps=5, plan.strategy=vanilla is valid"


@pytest.mark.parametrize("command", ["run", "validate", "show-config", "show-command"])
def test_a_wrong_setting_starts_nothing(command, run_file):
    done = CliRunner().invoke(main, [command, "-c", run_file, "--set", "plan.n_stps=5"])
    assert done.exit_code == 1
    assert done.output.strip() == "Error: plan.n_stps is not a setting; did you mean plan.n_steps?"


def test_the_run_gets_file_and_settings(run_file):
    from pipelines.base import as_command
    from pipelines.training import saerl_pipeline

    overrides = {"plan.n_steps": 5, "plan.strategy": "vanilla"}
    pipeline = as_command(saerl_pipeline, overrides).with_options(config_path=run_file)
    config = pipeline._apply_config_parameters({})["config"]
    assert (config.plan.n_steps, config.plan.prompts_per_step, config.plan.strategy.name) == (5, 8, "vanilla")
    plain = as_command(saerl_pipeline).with_options(config_path=run_file)._apply_config_parameters({})["config"]
    assert (plain.plan.n_steps, plain.seed) == (9, 3)


def test_run_hands_its_settings_to_the_pipeline(run_file, monkeypatch):
    seen = []
    monkeypatch.setattr("pipelines.base.CommandPipeline.__call__", lambda self: seen.append(self.overrides))
    monkeypatch.setattr("zenml.cli.utils.temporary_active_stack", lambda **given: nullcontext())
    done = CliRunner().invoke(main, ["run", "-c", run_file, *SETTINGS], catch_exceptions=False)
    assert done.exit_code == 0
    assert seen == [{"plan.n_steps": 5, "plan.strategy": "vanilla"}]


def test_the_console_script_is_the_same_command():
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["saerl"]
    module, _, name = script.partition(":")
    assert getattr(import_module(module), name) is main
    code = (
        f"import sys; from {module} import {name}; sys.argv[0] = 'saerl'; sys.exit({name}())"  # as installers write it
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "validate", "--set", "seed=x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.startswith("Error: seed = 'x' has the wrong type")


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["bin/saerl", "run", "--set", "prompts.answer_after=####"], "saerl run --set 'prompts.answer_after=####'"),
        (["pipelines/__main__.py", "run"], "python -m pipelines run"),
        (["bin/zenml", "pipeline", "run", "saerl"], "zenml pipeline run saerl"),
    ],
)
def test_the_command_of_a_page_is_one_that_runs(argv, shown, monkeypatch):
    from tracking.runtime import command_line

    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == shown
