"""The selector for Trinity-RFT, driven as its scheduler does, with a stand-in for its reader.

SAERL_TRINITY_PYTHON names a Python that has Trinity-RFT and what saerl_core imports: then its own scheduler drives it.
"""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from saerl_core.errors import ConfigError, DataError
from saerl_core.online.pool import pool_rows, write_pool
from saerl_core.online.steps import Steps
from saerl_core.online.trinity import selector
from tests.online.conftest import GROUP, SIZE, STEPS


@pytest.fixture
def rows(plan, prompts):
    return pool_rows(plan, prompts, None)[::-1]


@pytest.fixture
def build(plan_folder, rows):
    """As `_DatasetFileReader` does: a class from `selector_type`, the reader and its configuration."""

    def build(state=None, rows=rows, group_size=GROUP):
        from datasets import Dataset

        chosen = selector(plan_folder, group_size)
        found = chosen(SimpleNamespace(dataset=Dataset.from_list(rows)), SimpleNamespace(selector_type="mine"))
        found.load_state_dict(state or {"current_index": 0})
        return found

    return build


def mean(prompt_id):
    return 0.5 * (int(prompt_id[1:]) % 2)


def explored(found, rows, n):
    batches = []
    for _ in range(n):
        indices = found.get_indices(batch_size=SIZE)
        batches.append([rows[i]["prompt_id"] for i in indices])
        back = indices[::-1]  # experiences come back in the order in which they are finished
        found.feedback(indices=back, values=[mean(rows[i]["prompt_id"]) for i in back])
    return batches


@pytest.fixture
def wanted(plan):
    steps, found = Steps(plan), []
    while not steps.is_done:
        found.append(steps.ask(SIZE, "size"))
        steps.tell({p: [1.0] * round(GROUP * mean(p)) + [0.0] * round(GROUP * (1 - mean(p))) for p in found[-1]})
    return found


def test_every_batch_is_the_curriculums_answer(build, rows, wanted):
    found = build()
    assert explored(found, rows, STEPS) == wanted
    with pytest.raises(DataError, match="the plan has 5 steps, and all are trained"):
        found.get_indices(SIZE)


def test_an_exploration_goes_on_from_its_state(build, rows, wanted):
    first = build()
    explored(first, rows, 2)
    again = build(json.loads(json.dumps(first.state_dict())))
    assert explored(again, rows, STEPS - 2) == wanted[2:]


@pytest.mark.slow
def test_its_own_scheduler_reads_the_batches(plan, prompts, plan_folder, tmp_path, wanted):
    python = os.environ.get("SAERL_TRINITY_PYTHON")
    if not python or not Path(python).is_file():
        pytest.skip("SAERL_TRINITY_PYTHON names no Python that has Trinity-RFT")
    (tmp_path / "data").mkdir()
    write_pool(plan, prompts, tmp_path / "data" / "train.jsonl")
    script, root = Path(__file__).with_name("trinity_batches.py"), Path(__file__).parents[2]
    command = [python, str(script), str(tmp_path), str(STEPS), str(SIZE)]
    environment = {**os.environ, "PYTHONPATH": str(root), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"batches": wanted, "state": STEPS}


def test_extra_information_and_the_earlier_name_of_feedback(build):
    found = build()
    indices, extra = found.get_indices(SIZE, return_extra_info=True)
    assert (len(indices), extra) == (SIZE, {})
    found.update(indices[:1], [1.0])  # the other tasks failed
    assert len(found.get_indices(SIZE)) == SIZE


def test_what_cannot_work(build, rows):
    with pytest.raises(ConfigError, match=r"group_size is 1; give algorithm\.repeat_times"):
        build(group_size=1)
    with pytest.raises(ConfigError, match="the task set has no column prompt_id"):
        build(rows=[{"prompt": "a"}])
    with pytest.raises(DataError, match="is not among the 1 rows of the task set"):
        build(rows=rows[:1]).get_indices(SIZE)
    found = build()
    with pytest.raises(ConfigError, match=r"asks for 2 prompts, a step of the plan has 3; set buffer\.batch_size"):
        found.get_indices(2)
    indices = found.get_indices(SIZE)
    with pytest.raises(DataError, match=r"has a mean reward of 1\.5"):
        found.feedback(indices[:1], [1.5])
    with pytest.raises(DataError, match="before the rewards of step 0 are in"):
        found.get_indices(SIZE)
