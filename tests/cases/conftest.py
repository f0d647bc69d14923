from collections.abc import Iterator

import pytest

from saerl_core.config.grading import GradingConfig
from saerl_core.rollouts.grading import Grader


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(GradingConfig(kind="math")) as grader:
        yield grader
