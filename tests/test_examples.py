"""The examples run as printed, and so does every block of the README."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from saerl_core.config.load import load_config
from saerl_core.config.run import RunConfig

ROOT = Path(__file__).resolve().parent.parent
SAID = {  # the script, and a piece of what it says at the end
    "plan_my_prompts.py": "16 steps in my_plan/plan.parquet",
    "write_a_strategy.py": "mean",
    "own_training_loop.py": "step 19: reward",
    "compare_two.py": "vanilla",
    "reward_function.py": "function failed it raised ValueError: could not convert string to float: 'twelve'",
}


def run(code, folder, *arguments):
    """Run a program in an empty folder, as a user does: warnings are errors there, too."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", *code, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_example_is_run():
    assert sorted(p.name for p in (ROOT / "examples").glob("*.py")) == sorted(SAID)


@pytest.mark.parametrize("name", SAID)
def test_the_example_runs(name, tmp_path):
    done = run([str(ROOT / "examples" / name)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert SAID[name] in done.stdout


README = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def blocks(language):
    found = [text for name, text in README if name == language]
    assert found, f"the README has no {language} block any more"
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_python_of_the_readme_runs(code, tmp_path):
    done = run(["-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert len([line for line in code.splitlines() if line.strip()]) <= 10, "ten lines are the promise"


@pytest.mark.parametrize("text", blocks("yaml"))
def test_run_files_of_the_readme_are_valid(text, tmp_path):
    (tmp_path / "run.yaml").write_text(text)
    assert load_config(tmp_path / "run.yaml") != RunConfig(), "it sets something"


def test_readme_names_only_run_files_that_are_there():
    named = re.findall(r"(?:configs|examples|docs|benchmarks)/[\w./-]*\w", (ROOT / "README.md").read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []
