import pytest

from saerl_core import make_plan, save_plan
from tests.training.world import tiny_prompts

SIZE, STEPS, GROUP = 3, 5, 4


@pytest.fixture(scope="session")
def prompts():
    return tiny_prompts(16)


@pytest.fixture(scope="session")
def plan(prompts):
    return make_plan(prompts, "mopps", prompts_per_step=SIZE, n_steps=STEPS)


@pytest.fixture
def plan_folder(plan, tmp_path):
    save_plan(plan, tmp_path / "plan")
    return tmp_path / "plan"
