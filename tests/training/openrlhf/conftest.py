import pytest

from saerl_core.training.run import train_policy
from tests.training.openrlhf.fakes import fake_python, openrlhf_settings
from tests.training.world import FeedbackCurriculum, tiny_job, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    return fake_python(tmp_path_factory.mktemp("environment") / "bin")


@pytest.fixture
def train(policy, python, tmp_path, steps):
    """Train in one folder: train(fake, curriculum, settings of the section `openrlhf`, **changes of the job)."""

    def run(fake="", curriculum=None, inner=None, on_step=steps, folder="work", **changes):
        settings = openrlhf_settings(python, fake, **(inner or {}))
        job = tiny_job(policy, tmp_path / folder, **{**settings, **changes})
        return train_policy(job, curriculum or FeedbackCurriculum(IDS, 4), on_step)

    return run
