"""What can be refused before any work: the interpreter, the version in it, the model, the sizes."""

import json
import os
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saerl_core.config.openrlhf_layout import gpu_layout
from saerl_core.config.run import OpenRlhfConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.records import PolicyRef, TrainJob
from saerl_core.rollouts.reward_pool import RewardPool
from saerl_core.training.held_out import held_out_prompts
from saerl_core.training.openrlhf.job_file import OPENRLHF_VERSION
from saerl_core.training.openrlhf.process import trainer_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBE_S = 20.0
_SETTING = "training.openrlhf.python"


def check_job(job: TrainJob) -> None:
    """Refuse a job that cannot run: `ConfigError` for a setting, `DataError` for prompts."""
    _check_sizes(job)
    _check_paths(job)
    _check_model(job.policy)
    settings = job.config.openrlhf
    check_environment(settings)
    if settings.python is not None:
        _check_function(job, interpreter(settings))
    elif settings.image is None:
        raise ConfigError(
            "training.openrlhf.python is not set, and no image either; set it to the interpreter of the trainer's "
            "environment (docs/openrlhf.md says how to make one)"
        )


def check_environment(settings: OpenRlhfConfig) -> None:
    """Refuse variables that are not set here, an interpreter that is none or has another OpenRLHF: `ConfigError`."""
    own_variables(settings)
    if settings.python is not None:
        probe(interpreter(settings), settings)


def _check_function(job: TrainJob, python: Path) -> None:
    """Refuse a user's reward function that the trainer's interpreter cannot import; it is not called."""
    if job.grading.kind != "python":
        return
    env = trainer_environment(python, job.work_dir, job.work_dir, job.config.openrlhf.env)
    pool = RewardPool(job.grading, [os.getcwd()], python=str(python), variables=env)
    try:
        pool.start()
    finally:
        pool.close()


def interpreter(settings: OpenRlhfConfig) -> Path:
    """Return the interpreter as an absolute path; a link, as in a virtual environment, is not followed."""
    python = Path(str(settings.python)).expanduser().absolute()
    if not python.is_file():
        raise ConfigError(
            f"{_SETTING} is '{settings.python}', which does not exist; name the python of the trainer's environment, "
            "for example .venv-openrlhf/bin/python"
        )
    if not os.access(python, os.X_OK):
        raise ConfigError(f"{_SETTING} is '{settings.python}', which cannot be executed; name a Python interpreter")
    return python


def own_variables(settings: OpenRlhfConfig) -> dict[str, str]:
    """Return the variables that a person gives the trainer: those of the configuration, and those passed on from here.

    Raises:
        ConfigError: a variable that shall be passed on is not set in this process.
    """
    missing = [name for name in settings.env_from if name not in os.environ]
    if missing:
        raise ConfigError(
            f"training.openrlhf.env_from lists {', '.join(missing)}, which the process that trains does not have; "
            "export it there (on Kubernetes: in the pod of train_policy), or remove it from the list"
        )
    return {**settings.env, **{name: os.environ[name] for name in settings.env_from}}


def probe(python: Path, settings: OpenRlhfConfig) -> None:
    """Ask an interpreter what is installed; `ConfigError` unless it is exactly the version that we know."""
    nowhere = Path(os.devnull)  # the program is its text: where the interpreter runs, this package may not be
    try:
        done = subprocess.run(
            [str(python), "-c", files("saerl_core.training.openrlhf").joinpath("probe.py").read_text("utf-8")],
            env=trainer_environment(python, nowhere, nowhere, settings.env),
            capture_output=True,
            text=True,
            timeout=PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"{_SETTING} is '{python}', which did not answer within {PROBE_S:.0f} s; is it a Python interpreter?"
        ) from error
    except OSError as error:
        raise ConfigError(f"{_SETTING} is '{python}', which cannot be started: {error}") from error
    found = _answer(done.stdout)
    if done.returncode != 0 or found is None:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(
            f"{_SETTING} is '{python}', which does not answer as Python does (exit code {done.returncode}: {last}); "
            "name the interpreter of the trainer's environment"
        )
    version = found.get("openrlhf")
    if version != OPENRLHF_VERSION:
        what = f"has openrlhf {version}" if version else "has no openrlhf"
        raise ConfigError(
            f"the environment of {_SETTING} = '{python}' {what}, but this version of saerl works with exactly "
            f"{OPENRLHF_VERSION}, because it uses private names; install openrlhf=={OPENRLHF_VERSION} there"
        )


def _answer(stdout: str) -> "Mapping[str, Any] | None":
    try:
        found = json.loads((stdout.strip().splitlines() or [""])[-1])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _check_sizes(job: TrainJob) -> None:
    config, settings = job.config, job.config.openrlhf
    if job.n_steps < 1:
        raise ConfigError(f"the job has {job.n_steps} steps; training needs at least 1")
    n_usable = int(job.prompts["usable"].sum())
    if n_usable < job.prompts_per_step:
        raise DataError(
            f"the job has {n_usable} prompts, fewer than one batch of {job.prompts_per_step}; lower "
            "plan.prompts_per_step or give more prompts"
        )
    held_out_prompts(job)
    n_rollouts, gpus = job.prompts_per_step * config.group_size, gpu_layout(config).actor_gpus
    for name, micro in (
        ("train_micro_batch", settings.train_micro_batch),
        ("rollout_micro_batch", settings.rollout_micro_batch),
    ):
        if n_rollouts % (micro * gpus):
            raise ConfigError(
                f"training.openrlhf.{name} is {micro} on {gpus} GPUs, which does not divide the {n_rollouts} rollouts "
                f"of a step ({job.prompts_per_step} prompts x {config.group_size}): the rest would leak into the next "
                "batch; choose sizes that divide"
            )


def _check_paths(job: TrainJob) -> None:
    """OpenRLHF splits lists of files at commas."""
    for what, path in (("the work folder", str(job.work_dir.absolute())), ("the policy", job.policy.path)):
        if "," in path:
            raise ConfigError(
                f"{what} is '{path}', with a comma, at which OpenRLHF splits paths; use one without (the work folder "
                "lies under SAERL_HOME)"
            )


def _check_model(policy: PolicyRef) -> None:
    """Refuse a folder that is no model, and a model whose own code OpenRLHF would run without being asked to."""
    folder = Path(policy.path)
    if policy.is_local and not (folder / "config.json").is_file():
        raise DataError(
            f"the policy '{policy.path}' is no model: it holds no config.json; give a Hugging Face model folder"
        )
    if policy.is_local and not policy.trust_remote_code:
        for name in ("config.json", "tokenizer_config.json"):
            file = folder / name
            if file.is_file() and "auto_map" in json.loads(file.read_text(encoding="utf-8")):
                raise ConfigError(
                    f"'{policy.path}' brings Python code of its own ({name} has an auto_map), which OpenRLHF would run "
                    "unasked; set policy.trust_remote_code to true if you trust its authors"
                )
