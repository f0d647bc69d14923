"""The trainer as a job of a Ray cluster: the command that submits it and stays with it.

That command runs on this machine like a local trainer (`process.TrainerProcess`): its output is the job's log, its exit
code the job's end, and ending it stops the job.
"""

import hashlib
import json
from pathlib import Path

from saerl_core.config.run import OpenRlhfConfig
from saerl_core.training.openrlhf.process import OWN_VARIABLES

GRACE_S = 30.0  # for the job to be stopped on the cluster


def job_name(attempt: Path) -> str:
    """Return the name of an attempt's job: the same folder gives the same name but for the attempt at its end."""
    return f"saerl-{hashlib.sha256(str(attempt.parent).encode()).hexdigest()[:12]}-{attempt.name.rpartition('-')[2]}"


def submit_command(config: OpenRlhfConfig, python: Path, attempt: Path, run: list[str]) -> list[str]:
    """Return the argument list that submits `run` as a job and waits for it.

    The job gets the variables that a person set for the trainer and where the code lies, not the others of this
    machine. They are named here; their values, which may be secrets, are in the environment of the command.
    """
    variables = sorted({*OWN_VARIABLES, *config.env, *config.env_from})
    module = [str(python), "-m", "saerl_core.training.openrlhf.submit"]
    return [*module, config.ray_address, job_name(attempt), json.dumps(variables), "--", *run]
