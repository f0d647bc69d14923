import json

import pytest

from saerl_core import export_plan, make_plan
from saerl_core.records import PromptFormat
from tests.training.world import tiny_prompts

CHAT = PromptFormat(True, "Be brief.", " Think.")
PLAIN = PromptFormat(False, None, " =")
SIZE, STEPS = 3, 6  # of 12 prompts: one and a half epochs, so that prompts come twice


@pytest.fixture(scope="session")
def prompts():
    return tiny_prompts(12)


@pytest.fixture(scope="session")
def plan(prompts):
    return make_plan(prompts, "vanilla", prompts_per_step=SIZE, n_steps=STEPS)


@pytest.fixture
def exported(plan, prompts, tmp_path):
    """Export in a format; returns the folder."""

    def export(name, **options):
        export_plan(plan, prompts, name, tmp_path / name, **{"grading": "exact", "group_size": 4, **options})
        return tmp_path / name

    return export


def json_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def order_of(plan):
    return [p for step in range(plan.n_steps) for p in plan.batch(step)]
