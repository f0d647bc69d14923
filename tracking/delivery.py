"""Delivers to MLflow what waits in the buffer of a run (`tracking.journal`), and opens that buffer for a step.

Inside a step the buffer's thread is the only one that talks to the server, so there the client of MLflow gives up at
once and the buffer's own pauses count. Between the steps ZenML itself starts and ends the MLflow run; its calls keep
the patience of `saerl_core.environment`, because nothing can wait in their place.
"""

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from saerl_core.environment import state_dir
from saerl_core.errors import ConfigError
from tracking.journal import Buffer, Journal, Record, RefusedError, Send

WAIT_VARIABLE = "SAERL_TRACKING_WAIT_S"
STEP_WAIT_S, RUN_WAIT_S = 10.0, 60.0  # at the end of a step, and of the run
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_KEEP_S = 24 * 3600.0  # how long a delivered journal of an interrupted run stays
logger = logging.getLogger("saerl")
_open: list[Buffer] = []  # the buffer of the step that runs in this process
_trials: list[str] = []  # the trial whose metrics and files are logged, the innermost last
_TRIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Leftover:
    """What `deliver_leftovers` found for one MLflow run."""

    run_id: str
    n_delivered: int
    n_left: int


def record(records: list[Record]) -> None:
    """Put records into the buffer of the running step; between two steps, open it for as long as they take."""
    with buffer() as current:
        current.add([replace(r, key=_of_trial(r.key)) if r.kind == "metric" else r for r in records])


def keep_file(file: Path) -> None:
    """Put a copy of a file into the buffer of the running step."""
    with buffer() as current:
        current.add_file(file, _of_trial(file.name))


@contextmanager
def trial(name: str) -> Iterator[None]:
    """Log the metrics and files of this block as those of one trial of the run, under `<name>/`; empty: as the run's.

    Two trainings in one MLflow run have the same curves; without a name of its own the second's would be taken for
    what the first has logged already.

    Raises:
        ConfigError: The name cannot begin a metric's key.
    """
    if name and not _TRIAL.fullmatch(name):
        raise ConfigError(
            f"the trial's name is '{name}', but it begins the keys of metrics; use letters, digits and . _ -"
        )
    _trials.append(name)
    try:
        yield
    finally:
        _trials.pop()


@contextmanager
def buffer(*, wait_s: float | None = None, last: bool = False) -> Iterator[Buffer]:
    """Open the buffer of the active MLflow run, or go on with the open one; its end waits a bounded time for delivery.

    That time is `wait_s` seconds, by default that of a step. The `last` one of a run takes the journal away when
    everything has arrived.
    """
    if _open:
        yield _open[-1]
        return
    run = mlflow.active_run() or mlflow.start_run()
    uri = mlflow.get_tracking_uri()
    folder = _folder() / run.info.run_id
    opened = _buffer_of(uri, run.info.run_id, folder)
    with _environment(_IMPATIENT):
        opened.start()
        _open.append(opened)
        try:
            yield opened
        finally:
            _open.pop()
            left = opened.close(_wait(STEP_WAIT_S if wait_s is None else wait_s))
            if left:
                logger.warning(
                    "%d records wait for the MLflow server in %s; they go out at the next step, or with "
                    "`python -m pipelines deliver`",
                    left,
                    folder,
                )
            elif last and not (folder / "rejected.jsonl").exists():
                shutil.rmtree(folder)


def deliver_leftovers(uri: str, wait_s: float) -> list[Leftover]:
    """Deliver what earlier runs could not; waits up to `wait_s` seconds for each run."""
    done = []
    with _environment(_IMPATIENT):
        for folder in sorted(p for p in _folder().glob("*") if (p / "records.jsonl").is_file()):
            waiting = _buffer_of(uri, folder.name, folder)
            before = waiting.n_pending
            waiting.start()
            left = waiting.close(wait_s)
            if before:
                done.append(Leftover(folder.name, before - left, left))
            elif time.time() - (folder / "records.jsonl").stat().st_mtime > _KEEP_S:
                shutil.rmtree(folder)
    return done


def _buffer_of(uri: str, run_id: str, folder: Path) -> Buffer:
    sender = _sender(mlflow.MlflowClient(tracking_uri=uri), run_id, folder)
    return Buffer(Journal(folder), sender, in_background=not uri.startswith("sqlite:"))


def _sender(client: mlflow.MlflowClient, run_id: str, folder: Path) -> Send:
    """Return the function that delivers a batch; it asks the server once which steps of a curve it has already."""
    seen: dict[str, set[int]] = {}

    def is_new(one: Record) -> bool:
        if one.key not in seen:
            seen[one.key] = {m.step for m in client.get_metric_history(run_id, one.key)}
        return one.step not in seen[one.key]

    def send(batch: list[Record]) -> None:
        try:
            fresh = [one for one in batch if not one.curve or is_new(one)]
            _send(client, run_id, folder, fresh)
        except MlflowException as error:
            seen.clear()  # nobody knows what arrived
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise RefusedError(str(error.message)) from error
            raise
        for one in fresh:
            if one.curve:
                seen[one.key].add(one.step)

    return send


def _send(client: mlflow.MlflowClient, run_id: str, folder: Path, batch: list[Record]) -> None:
    for one in batch:
        if one.kind == "dataset":
            values = json.loads(str(one.value))
            tag = InputTag(MLFLOW_DATASET_CONTEXT, values.pop("context"))
            client.log_inputs(run_id, [DatasetInput(Dataset(**values), [tag])])
        elif one.kind == "file":
            client.log_artifact(run_id, str(folder / "files" / one.key), one.key.rpartition("/")[0] or None)
    metrics = [Metric(r.key, float(r.value), r.time_ms, r.step) for r in batch if r.kind == "metric"]
    params = [Param(r.key, str(r.value)) for r in batch if r.kind == "param"]
    tags = [RunTag(r.key, str(r.value)) for r in batch if r.kind == "tag"]
    if metrics or params or tags:
        client.log_batch(run_id, metrics=metrics, params=params, tags=tags)


def _of_trial(key: str) -> str:
    return f"{_trials[-1]}/{key}" if _trials and _trials[-1] else key


def _folder() -> Path:
    return state_dir() / "tracking"


def _wait(default: float) -> float:
    """Return how long to wait for the server at the end of a step: the environment may only make it longer."""
    given = os.environ.get(WAIT_VARIABLE)
    try:
        return max(default, float(given or 0))
    except ValueError as error:
        raise ConfigError(f"{WAIT_VARIABLE} is '{given}', but must be a number of seconds such as 600") from error


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
