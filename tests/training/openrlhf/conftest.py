import os
from pathlib import Path

import pytest

from saerl_core.training.openrlhf import conversation, mailbox, reading
from saerl_core.training.run import train_policy
from tests.training.openrlhf.fakes import LOOK_S, fake_python, openrlhf_settings
from tests.training.world import FeedbackCurriculum, tiny_job, tiny_policy, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])


@pytest.fixture(scope="package", autouse=True)
def quick_looks():
    """Driver and trainer look for each other's files more often: a fake trainer takes no time between two of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mailbox, "_POLL_S", LOOK_S)
        patch.setattr(reading, "_POLL_S", LOOK_S)
        patch.setattr(conversation, "_END_POLL_S", LOOK_S)
        yield


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    return fake_python(tmp_path_factory.mktemp("environment") / "bin")


@pytest.fixture(scope="session", params=["stand-in", pytest.param("vllm", marks=pytest.mark.slow)])
def engine_python(request):
    """The interpreters of real trainings: the engine is Hugging Face generate, or real vLLM on the CPU."""
    if request.param == "stand-in":
        return request.getfixturevalue("openrlhf_python")
    root = Path(__file__).resolve().parents[3]
    found = Path(os.environ.get("SAERL_OPENRLHF_VLLM_PYTHON") or root / ".venv-openrlhf-vllm" / "bin" / "python")
    if not found.is_file():
        pytest.skip(f"{found}, with OpenRLHF and real vLLM, is absent: make openrlhf-vllm-env")
    return found


@pytest.fixture(scope="session")
def policy(tmp_path_factory):
    """Two heads of 32: the attention of vLLM on a CPU takes no smaller ones."""
    return tiny_policy(tmp_path_factory.mktemp("policy") / "wide", hidden=64)


@pytest.fixture
def train(policy, python, tmp_path, steps):
    """Train in one folder: train(fake, curriculum, settings of the section `openrlhf`, **changes of the job)."""

    def run(fake="", curriculum=None, inner=None, on_step=steps, folder="work", **changes):
        settings = openrlhf_settings(python, fake, **(inner or {}))
        job = tiny_job(policy, tmp_path / folder, **{**settings, **changes})
        return train_policy(job, curriculum or FeedbackCurriculum(IDS, 4), on_step)

    return run
