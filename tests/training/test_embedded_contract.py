"""The contract of all backends, for the embedded one."""

import pytest

from tests.training.contract import TrainerContract


class TestEmbedded(TrainerContract):
    @pytest.fixture
    def backend(self):
        return {"backend": "embedded"}
