import resource

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


@pytest.fixture
def small_disk():
    """Switch a limit on the size of files on and off: the write itself fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)
