"""Runs of processes that have ended: MLflow still calls them RUNNING, and only this machine can know better."""

import os
import platform
from collections.abc import Callable
from contextlib import suppress

import mlflow
import psutil
from mlflow.exceptions import MlflowException

PROCESS_TAG = "saerl.process"
KILLED = "KILLED"  # MLflow's own word
_MOST = 1000  # runs that one look considers


def this_process() -> str:
    """Return host, number and start of this process: what no other process has, not even one of the same number."""
    return _name_of(os.getpid(), psutil.Process().create_time())


def mark_dead_runs(uri: str) -> list[str]:
    """Mark the running MLflow runs of this machine whose process has ended as KILLED; returns their names.

    A server that does not answer keeps them as they are until the next time.
    """
    return _mark(uri, ("RUNNING",), lambda run: _has_ended(run.data.tags[PROCESS_TAG]))


def mark_own_runs(uri: str) -> list[str]:
    """Mark what this process was running, or what was failed because it was interrupted, as KILLED."""
    own = this_process()
    return _mark(uri, ("RUNNING", "FAILED"), lambda run: run.data.tags[PROCESS_TAG] == own)


def _mark(uri: str, statuses: tuple[str, ...], chosen: Callable[[mlflow.entities.Run], bool]) -> list[str]:
    names = []
    with suppress(MlflowException):
        client = mlflow.MlflowClient(tracking_uri=uri)
        for run in [run for status in statuses for run in _runs(client, status) if chosen(run)]:
            client.set_terminated(run.info.run_id, KILLED)
            names.append(str(run.info.run_name))
    return names


def _runs(client: mlflow.MlflowClient, status: str) -> list[mlflow.entities.Run]:
    experiments = [e.experiment_id for e in client.search_experiments()]
    if not experiments:
        return []
    here = f"attributes.status = '{status}' and tags.`{PROCESS_TAG}` LIKE '{platform.node()}:%'"
    return list(client.search_runs(experiments, here, max_results=_MOST))


def _has_ended(name: str) -> bool:
    """Tell whether the process of a run of this machine is gone, or its number belongs to another one now."""
    _, number, _ = name.rsplit(":", 2)
    try:
        return _name_of(int(number), psutil.Process(int(number)).create_time()) != name
    except psutil.NoSuchProcess:
        return True


def _name_of(number: int, started: float) -> str:
    return f"{platform.node()}:{number}:{int(started)}"
