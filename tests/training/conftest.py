import pytest

from tests.training.world import tiny_policy


@pytest.fixture(scope="session")
def policy(tmp_path_factory):
    return tiny_policy(tmp_path_factory.mktemp("policy") / "tiny")


@pytest.fixture
def steps():
    """An on_step that keeps what it was called with."""

    class Steps(list):
        def __call__(self, step, metrics):
            self.append((step, metrics))

    return Steps()
