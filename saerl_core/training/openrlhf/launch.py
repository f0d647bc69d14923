"""Start OpenRLHF's own command line with the curriculum in place of its shuffling loader; in the trainer's environment.

    PYTHON -m saerl_core.training.openrlhf.launch JOB_JSON -- <flags of openrlhf.cli.train_ppo_ray>

The last line on stderr after a failure is a sentence for people, `saerl: ...`. Exit codes: 0 trained to the end,
2 OpenRLHF's parser refused the flags, 3 not enough GPUs, 4 another version of OpenRLHF, 5 the planned order would be
lost, 6 the driver is gone, 1 everything else.
"""

import os
import re
import runpy
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from saerl_core.errors import BackendError, SaerlError
from saerl_core.training.openrlhf.job_file import JobFile
from saerl_core.training.openrlhf.process import LESS_MEMORY

_CODES = {"NotEnoughGpusError": 3, "WrongVersionError": 4, "PlanNotInForceError": 5}
_PARSER, _DRIVER_GONE = 2, 6
_leaving = threading.Event()
_CLI = "openrlhf.cli.train_ppo_ray"
_MANY_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # Ray asks it on Linux too: may other machines join
_GPU_WAIT_S = 60.0  # GPUs of a run that has just ended are free again a moment later
_DRIVER_LOOK_S = 2.0
_FAREWELL_S = 20.0  # for Ray to end its processes when the driver is gone
# What Ray raises for an error in another process has the traceback's text for its own.
_DIED = re.compile(r"class_name: (\w+)\n(?:.*\n)*?.*worker process has died|(?:node|system) running low on memory")
_PORT_TAKEN = re.compile(r"EADDRINUSE|address already in use", re.IGNORECASE)
_STARTS = "SAERL_TRAINER_STARTS"  # how often this program has started itself again
_MAX_STARTS = 3
_OURS = re.compile(r"^saerl_core[\w.]*\.(\w+Error): (.+)$", re.MULTILINE)


class NotEnoughGpusError(BackendError):
    """The cluster has fewer GPUs than the job needs; OpenRLHF would wait for them forever."""


class WrongVersionError(BackendError):
    """Another version of OpenRLHF than the one whose private names are used."""


def main(argv: list[str]) -> int:
    """Run one attempt to its end; return the exit code."""
    job = None
    try:
        job, flags = parse(argv)
        require_version(job.version_wanted)
        require_own_code(job)
        watch_driver(job.driver_pid)
        start_ray()
        require_gpus(job.n_gpus)
        install(job)
        run_cli(flags)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        if code == _PARSER:
            say("OpenRLHF refused its command line; its own message stands above this line")
        elif code:
            say(f"the trainer was told to end (code {code})")  # Ray turns SIGTERM into this
        return code
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Exception as error:  # noqa: BLE001 (whatever it is: a person reads the last line)
        if _leaving.is_set():  # this error is but Ray going away; the other thread ends the process
            threading.Event().wait()
        traceback.print_exc()
        if job is not None and port_was_taken(job, error):
            start_again()
        code, sentence = explain(error)
        say(sentence)
        return code
    return 0


def parse(argv: list[str]) -> tuple[JobFile, list[str]]:
    """Return the job and OpenRLHF's flags."""
    if len(argv) < 2 or argv[1] != "--":
        raise BackendError("usage: python -m saerl_core.training.openrlhf.launch JOB_JSON -- FLAGS_OF_OPENRLHF")
    return JobFile.load(Path(argv[0])), argv[2:]


def require_version(wanted: str) -> None:
    """Refuse any other version of OpenRLHF: private names of this one are used."""
    try:
        found = version("openrlhf")
    except PackageNotFoundError:
        found = None
    if found != wanted:
        what = f"openrlhf {found} is installed" if found else "openrlhf is not installed"
        raise WrongVersionError(
            f"{what} in {sys.prefix}, but this version of saerl works with {wanted} only; install openrlhf=={wanted}"
        )


def require_own_code(job: JobFile) -> None:
    """Refuse a model that brings Python code unless the configuration trusts it; OpenRLHF itself runs it unasked."""
    if job.trust_remote_code:
        return
    from transformers import PreTrainedConfig
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    described, _ = PreTrainedConfig.get_config_dict(job.policy_path)
    if "auto_map" in described or "auto_map" in get_tokenizer_config(job.policy_path):
        raise BackendError(
            f"'{job.policy_path}' brings Python code of its own, which OpenRLHF would run; set "
            "policy.trust_remote_code to true if you trust its authors"
        )


def start_ray() -> None:
    """Connect to Ray as OpenRLHF does: to RAY_ADDRESS, else to the cluster of this machine, else to a new one.

    A new one listens on loopback only, unless the environment sets RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=1.
    """
    import ray

    if _MANY_MACHINES not in os.environ:
        _stay_on_loopback()
    defaults = {"TOKENIZERS_PARALLELISM": "true", "NCCL_DEBUG": "WARN", "RAY_ENABLE_ZERO_COPY_TORCH_TENSORS": "1"}
    # In a Ray job the job's own variables are set here already; Ray refuses a name twice, and would print all values.
    os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
    ray.init(runtime_env={"env_vars": {name: os.environ.get(name, value) for name, value in defaults.items()}})


def _stay_on_loopback() -> None:
    """Keep a cluster that is about to start off the network, to which Ray on Linux opens ports that run any code."""
    from ray._private import ray_constants, services

    if services.canonicalize_bootstrap_address(None) is None:  # none to join
        os.environ[_MANY_MACHINES] = "0"  # for the processes that Ray starts
        ray_constants.ENABLE_RAY_CLUSTER = False


def require_gpus(wanted: int, wait_s: float = _GPU_WAIT_S) -> None:
    """Refuse a cluster with too few GPUs at once, and one whose GPUs stay in use after `wait_s`."""
    import ray

    def gpus(resources: dict[str, float]) -> int:
        return int(resources.get("GPU", 0))

    total = gpus(ray.cluster_resources())
    if total < wanted:
        raise NotEnoughGpusError(
            f"the training needs {wanted} GPUs, but Ray has {total}; set training.openrlhf.n_nodes and gpus_per_node "
            "to what there is, or add machines to the cluster (`ray start --address=HEAD:6379`)"
        )
    deadline = time.monotonic() + wait_s
    while (free := gpus(ray.available_resources())) < wanted:
        if time.monotonic() > deadline:
            raise NotEnoughGpusError(
                f"the training needs {wanted} GPUs, but only {free} of Ray's {total} are free after {wait_s:.0f} s; "
                "`ray status` shows who uses them"
            )
        time.sleep(min(1.0, wait_s))


def install(job: JobFile) -> None:
    """Put the planned trainer where OpenRLHF's command line looks for its PPOTrainer."""
    import ray
    from openrlhf.trainer import ppo_trainer

    from saerl_core.training.openrlhf.controller import planned_trainer

    ppo_trainer.PPOTrainer = ray.remote(planned_trainer(job))


def run_cli(flags: list[str]) -> None:
    """Run OpenRLHF's module as `python -m` does."""
    sys.argv = [_CLI, *flags]
    runpy.run_module(_CLI, run_name="__main__", alter_sys=True)


def watch_driver(pid: int | None, end: Callable[[], None] | None = None) -> None:
    """End this process, and Ray with it, as soon as the process that holds the curriculum is gone."""
    if pid is None:
        return
    import psutil

    try:
        driver: Any = psutil.Process(pid)  # knows its start time: a later process with the same number is another
    except psutil.NoSuchProcess:
        driver = None

    def alive() -> bool:
        try:
            return driver is not None and driver.is_running() and driver.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def look() -> None:
        while alive():
            time.sleep(_DRIVER_LOOK_S)
        (end or _end_without_driver)()

    threading.Thread(target=look, name="watch-driver", daemon=True).start()


def _end_without_driver() -> None:
    say("the process that holds the curriculum is gone; this trainer ends")
    timer = threading.Timer(_FAREWELL_S, os._exit, [_DRIVER_GONE])
    timer.daemon = True
    timer.start()
    _leaving.set()
    try:
        if "ray" in sys.modules:
            sys.modules["ray"].shutdown()
    finally:
        os._exit(_DRIVER_GONE)


def port_was_taken(job: JobFile, error: Exception) -> bool:
    """Whether the start failed because another program listens on a port that was free when OpenRLHF chose it.

    Between the choice and the use lie seconds in which models are prepared. Once a rollout is graded, the audit of this
    attempt would hold it twice: then the driver has to begin a new attempt.
    """
    return _PORT_TAKEN.search(str(error)) is not None and not any(job.audit_dir.glob("*"))


def start_again() -> None:
    """Replace this process by a new start of the same program, which chooses other ports; return after the last one.

    The driver sees one process, and its first batch still lies in the mailbox.
    """
    starts = int(os.environ.get(_STARTS, "0")) + 1
    if starts >= _MAX_STARTS:
        return
    say(f"another program took a port that the trainer had chosen; it starts again ({starts} of {_MAX_STARTS - 1})")
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
    command = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, command, {**os.environ, _STARTS: str(starts)})  # noqa: S606 (its own command, no shell)


def explain(error: Exception) -> tuple[int, str]:
    """Return exit code and sentence; an error of ours may have been raised in another process."""
    if elsewhere := _OURS.findall(str(error)):
        name, sentence = elsewhere[-1]
    elif died := _DIED.search(str(error)):
        name, sentence = "", f"{died[1] or 'a worker'}, a process of the trainer, was killed, {LESS_MEMORY}"
    else:
        name, sentence = type(error).__name__, str(error)
        if not isinstance(error, SaerlError):
            last = (sentence.strip() or "no message").splitlines()[-1]
            sentence = f"the trainer failed: {last if ': ' in last else f'{name}: {last}'}"
    return _CODES.get(name, 1), sentence


def say(sentence: str) -> None:
    """Print the line that the driver quotes."""
    sys.stdout.flush()
    sys.stderr.write(f"saerl: {' '.join(sentence.split())}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
