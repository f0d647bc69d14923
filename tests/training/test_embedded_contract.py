"""The contract of all backends, for the embedded one."""

import pytest

from saerl_core.algorithms import ALGORITHMS, trained_by
from saerl_core.errors import ConfigError
from saerl_core.training.embedded.trainer import EmbeddedTrainer
from tests.training.contract import TrainerContract
from tests.training.world import tiny_job

REASONS = {
    "ppo": "needs a critic",
    "gspo": "takes one probability ratio for a whole completion",
    "reinforce++": "whitens advantages over the whole batch and counts the KL in the reward",
    "reinforce++-baseline": "whitens advantages over the whole batch",
}


class TestEmbedded(TrainerContract):
    @pytest.fixture
    def backend(self):
        return {"backend": "embedded"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_of_the_other_backend_is_refused_for_its_own_reason(policy, tmp_path, algorithm):
    job = tiny_job(policy, tmp_path / "work", algorithm=algorithm)
    if algorithm in trained_by("embedded"):
        EmbeddedTrainer().check(job)
        return
    with pytest.raises(ConfigError) as caught:
        EmbeddedTrainer().check(job)
    told = str(caught.value)
    assert told.startswith(f"training.algorithm is '{algorithm}', which {REASONS[algorithm]}")
    assert ("critic" in told) == (algorithm == "ppo")
    assert told.endswith("or training.algorithm to one of grpo, dr_grpo, dapo, rloo")
