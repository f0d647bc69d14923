"""A folder for TRL trains with the stock trainer, started as its page says, in the order of the plan."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from saerl_core import observe_rollouts
from tests.export.conftest import SIZE, STEPS, json_lines, order_of
from tests.training.world import tiny_policy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return tiny_policy(tmp_path_factory.mktemp("model") / "tiny", context=1024).path


def started_as_the_page_says(folder, model, output, launcher=()):
    """Run the command of README.md, with a launcher of several processes where one is given."""
    command = re.search(r"`(python train\.py MODEL OUTPUT_DIR)`", (folder / "README.md").read_text()).group(1)
    words = shlex.split(command.replace("MODEL", str(model)).replace("OUTPUT_DIR", str(output)))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *launcher, *words[1:]],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def trained_order(output):
    """The prompt ids of `rollouts.jsonl`, one a group of four."""
    lines = json_lines(output / "rollouts.jsonl")
    groups = [lines[i : i + 4] for i in range(0, len(lines), 4)]
    assert all(len({(line["step"], line["row"], line["prompt_id"]) for line in group}) == 1 for group in groups)
    return [(group[0]["step"], group[0]["prompt_id"]) for group in groups]


def planned_order(plan):
    return [(i // SIZE, prompt_id) for i, prompt_id in enumerate(order_of(plan))]


@pytest.mark.slow
def test_the_stock_trainer_trains_in_the_planned_order(exported, plan, model, tmp_path):
    folder = exported("trl")
    done = started_as_the_page_says(folder, model, tmp_path / "trained")
    assert done.returncode == 0, done.stderr[-3000:]
    assert trained_order(tmp_path / "trained") == planned_order(plan)
    assert len(json_lines(tmp_path / "trained" / "rollouts.jsonl")) == STEPS * SIZE * 4
    assert (tmp_path / "trained" / "model.safetensors").is_file()
    observed = observe_rollouts(tmp_path / "trained", folder)
    assert (observed.n_joined, observed.order.as_planned, observed.notes) == (STEPS * SIZE * 4, True, ())


@pytest.mark.slow
def test_a_shuffle_is_seen_and_stops_the_training(exported, plan, model, tmp_path):
    folder = exported("trl")
    script = folder / "train.py"
    text = script.read_text()
    assert text.count("shuffle_dataset=False") == 1
    script.write_text(text.replace("shuffle_dataset=False", "shuffle_dataset=True"))
    done = started_as_the_page_says(folder, model, tmp_path / "trained")
    assert done.returncode != 0
    assert re.search(r"step \d trains on row \d+, which the plan has in step \d", done.stderr)
    trained = trained_order(tmp_path / "trained")
    assert trained != planned_order(plan)[: len(trained)]


@pytest.mark.slow
def test_two_processes_share_every_step(exported, plan, model, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    folder = exported("trl")
    done = started_as_the_page_says(folder, model, tmp_path / "trained", launcher)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for n in ("", "-1") for line in json_lines(tmp_path / "trained" / f"rollouts{n}.jsonl")]
    trained = sorted((line["step"], line["row"], line["prompt_id"]) for line in lines)
    assert trained == [(step, i, p) for i, (step, p) in enumerate(planned_order(plan)) for _ in range(4)]
    observed = observe_rollouts(tmp_path / "trained", folder)
    assert (observed.n_joined, observed.order.as_planned, observed.notes) == (STEPS * SIZE * 4, True, ())


@pytest.fixture
def an_old_trl(exported):
    """A folder in which TRL is one that always shuffles, and imports nothing."""
    folder = exported("trl")
    config = "@dataclass\nclass GRPOConfig:\n    output_dir: str\n"
    (folder / "trl.py").write_text(
        f"from dataclasses import dataclass\n__version__ = '0.0.1'\nGRPOTrainer = None\n{config}"
    )
    return folder


@pytest.mark.slow
def test_a_version_of_trl_that_always_shuffles_is_refused_by_name(an_old_trl, tmp_path):
    done = started_as_the_page_says(an_old_trl, "none", tmp_path / "trained")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("TRL 0.0.1 shuffles its data set, and no setting stops it")


@pytest.mark.slow
def test_the_folder_of_another_training_is_refused(an_old_trl, tmp_path):
    (tmp_path / "rollouts.jsonl").touch()
    done = started_as_the_page_says(an_old_trl, "none", tmp_path)
    assert done.returncode == 1
    assert "rollouts.jsonl is there already" in done.stderr.splitlines()[-1]
