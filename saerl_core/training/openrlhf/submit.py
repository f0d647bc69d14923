"""Run a command as a job of a Ray cluster and stay with it: its log on stdout, its end as the exit code.

    PYTHON -m saerl_core.training.openrlhf.submit ADDRESS NAME VARIABLES -- PROGRAM ARGUMENTS...

Runs in the trainer's environment, whose `ray` has the version of the cluster. `NAME` is `<job>-<attempt>`: a job of the
same name with another attempt is one that an earlier driver has left behind, and is stopped first. A job that fails and
one that is stopped both end with exit code 1. SIGTERM and the death of the parent stop the job. `VARIABLES` is a JSON
list of names: the job gets these variables of this process. Their values stand in no argument, which every user of the
machine could read.
"""

import asyncio
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Protocol

_POLL_S = 2.0
_STOP_S = 20.0
_MAX_LOST_POLLS = 90  # three minutes without an answer of the cluster
_MAX_STARTING_POLLS = 30  # a minute in which a cluster that has just been started has nobody to run a job
_STARTING = "No available agent"
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


class JobDetails(Protocol):
    """What is used of Ray's description of a job."""

    submission_id: str | None
    message: str | None


class JobClient(Protocol):
    """What is used of `ray.job_submission.JobSubmissionClient`."""

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, object]) -> str:
        """Start a job."""
        ...

    def get_job_status(self, job_id: str) -> object:
        """Return the state, an enumeration whose value is its name."""
        ...

    def get_job_info(self, job_id: str) -> JobDetails:
        """Describe a job."""
        ...

    def list_jobs(self) -> list[JobDetails]:
        """Describe all jobs."""
        ...

    def stop_job(self, job_id: str) -> bool:
        """Ask a job to end."""
        ...

    def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        """Yield the log as it grows."""
        ...


def main(argv: list[str], client: JobClient | None = None, sleep: Callable[[float], None] = time.sleep) -> int:
    """Submit, wait and return the exit code."""
    address, name, variables, _, *command = argv
    signal.signal(signal.SIGTERM, _leave)
    parent = os.getppid()
    client = client or _client(address)
    end_earlier(client, name, sleep)
    env_vars = {variable: os.environ[variable] for variable in json.loads(variables)}
    submit(client, shlex.join(command), name, env_vars, sleep)  # Ray hands the text to a shell: all of it is quoted
    logs = threading.Thread(target=_copy_log, args=(client, name), daemon=True)
    logs.start()
    state = ""
    try:
        state = wait(client, name, parent, sleep)
        logs.join(10.0)
    finally:
        if state not in _ENDED:
            _stop_if_it_answers(client, name, sleep)
    if state == "SUCCEEDED":
        return 0
    message = (client.get_job_info(name).message or "").strip() or "Ray gives no reason"
    what = "failed" if state == "FAILED" else "was stopped on the cluster"
    sys.stdout.write(f"saerl: the Ray job {name} {what}: {message.splitlines()[-1]}\n")
    return 1


def submit(
    client: JobClient, command: str, name: str, env_vars: dict[str, str], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Start the job, for which a cluster that has just been started may lack an agent for a while.

    Raises:
        RuntimeError: If the cluster refuses the job, or still has no agent after a minute.
    """
    for left in reversed(range(_MAX_STARTING_POLLS)):
        try:
            client.submit_job(entrypoint=command, submission_id=name, runtime_env={"env_vars": env_vars})
            return
        except RuntimeError as error:
            if not left or _STARTING not in str(error):
                raise
        sleep(_POLL_S)


def wait(client: JobClient, name: str, parent: int, sleep: Callable[[float], None] = time.sleep) -> str:
    """Return the state in which a job ended; `SystemExit` when the parent is gone or the cluster does not answer."""
    lost = 0
    while True:
        if os.getppid() != parent:
            raise SystemExit("saerl: the process that holds the curriculum is gone; the Ray job is stopped")
        try:
            state = state_of(client, name)
            lost = 0
        except (RuntimeError, OSError) as error:  # requests' errors are OSErrors; the client raises RuntimeError
            state, lost = "", lost + 1
            if lost >= _MAX_LOST_POLLS:
                raise SystemExit(f"saerl: the Ray cluster does not answer any more: {error}") from error
        if state in _ENDED:
            return state
        sleep(_POLL_S)


def state_of(client: JobClient, name: str) -> str:
    """Return a job's state by name, whatever the enumeration's type."""
    state = client.get_job_status(name)
    return str(getattr(state, "value", state))


def end_earlier(client: JobClient, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Stop earlier attempts of the same job."""
    prefix = name.rpartition("-")[0] + "-"
    for details in client.list_jobs():
        earlier = details.submission_id or ""
        if earlier.startswith(prefix) and state_of(client, earlier) not in _ENDED:
            stop(client, earlier, sleep)


def stop(client: JobClient, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Stop a job and wait until it has ended, for a while."""
    waited = 0.0
    client.stop_job(name)
    while state_of(client, name) not in _ENDED and waited < _STOP_S:
        sleep(_POLL_S)
        waited += _POLL_S


def _stop_if_it_answers(client: JobClient, name: str, sleep: Callable[[float], None]) -> None:
    """Stop the job; where that fails, say so, and leave the last word to the reason for which it is stopped."""
    try:
        stop(client, name, sleep)
    except (RuntimeError, OSError) as error:
        sys.stdout.write(f"the Ray job {name} could not be stopped, and may go on ({error}): ray job stop {name}\n")


def _client(address: str) -> JobClient:
    from ray.job_submission import JobSubmissionClient

    try:
        client: JobClient = JobSubmissionClient(address)
    except (RuntimeError, OSError) as error:
        raise SystemExit(
            f"saerl: no Ray cluster answers at {address} ({error}); start one with 'ray start --head', or set "
            "training.openrlhf.ray_address"
        ) from error
    return client


def _copy_log(client: JobClient, name: str) -> None:
    async def copy() -> None:
        async for lines in client.tail_job_logs(name):
            sys.stdout.write(lines)
            sys.stdout.flush()

    try:
        asyncio.run(copy())
    except Exception as error:  # noqa: BLE001 (a lost log must not end the training)
        sys.stdout.write(f"the log of the Ray job is not shown any more: {error}\n")


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
