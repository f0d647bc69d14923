"""A ZenML store and an MLflow database of their own: tests never touch the state of the repository.

Loaded by tests/conftest.py before anything imports ZenML, which reads its environment once.
"""

import functools
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from saerl_core.environment import defaults
from tests.mlflow_server import MlflowServer

# ZenML, MLflow and what they import warn about themselves; in tests that run them, only warnings from our code fail.
OUR_WARNINGS_ARE_ERRORS = [
    pytest.mark.filterwarnings("error:::(saerl_core|steps|pipelines|materializers)"),
    pytest.mark.filterwarnings("ignore"),
]

_HOME = Path(tempfile.mkdtemp(prefix="saerl-tests-"))
os.environ["SAERL_HOME"] = str(_HOME)
os.environ.update(defaults())


@pytest.fixture(scope="session")
def saerl_home() -> Path:
    """The state folder of this test session."""
    return _HOME


@pytest.fixture(scope="session")
def local_stack(saerl_home: Path) -> str:
    """The local stack with MLflow, registered and active."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from zenml.utils import source_code_utils

    from pipelines.setup import setup_local_stack

    # the code of every materializer, for each output of each step of each run: a fifth of a second a run
    source_code_utils.get_hashed_source_code = functools.cache(source_code_utils.get_hashed_source_code)
    event.listen(Engine, "connect", _without_waiting_for_the_disk)
    return setup_local_stack()


def _without_waiting_for_the_disk(connection, _record) -> None:
    """Leave it to the system when a database's pages reach the disk: a run commits 1,700 times, and waits each time."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def mlflow_client(local_stack: str):
    """A client of the session's MLflow database."""
    import mlflow

    from pipelines.setup import mlflow_uri

    return mlflow.MlflowClient(tracking_uri=mlflow_uri())


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow server of its own for the tests of the model registry, which use different models."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow")).start()
    yield server
    server.stop()
