"""Defaults for environment variables, applied before ZenML is imported (entry point `zenml.init_hooks`).

They make the bare command work: everything is written under `.saerl/` of the repository, telemetry is off, and the
Hugging Face libraries stay offline. A variable that the user has set is never changed.
"""

import gc
import os
import shutil
import sys
from pathlib import Path

from saerl_core.errors import ConfigError

OFFLINE_BY_DEFAULT = "SAERL_OFFLINE_BY_DEFAULT"  # set where HF_HUB_OFFLINE is our default, not the user's choice


_ROOM_MIB = 16  # for the databases of ZenML and MLflow to be made and grow a little
_OF_A_CLONE = ("saerl.py", "pipelines", "pyproject.toml")  # the last is not among what pip installs
_LIBRARY = Path(__file__).resolve().parent.parent  # what this code was imported from


def project_root() -> Path:
    """Return the repository: the nearest folder above the working directory that is a clone, else where our code is."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if _is_clone(folder)), _LIBRARY)


def state_dir() -> Path:
    """Return the folder that all local state lives in: $SAERL_HOME, or `.saerl` in the repository.

    An installed library is in no repository, and nothing is written beside it: `.saerl` in the working directory.
    """
    root = project_root()
    return Path(os.environ.get("SAERL_HOME") or (root if _is_clone(root) else Path.cwd()) / ".saerl")


def defaults() -> dict[str, str]:
    """Return the environment variables and the values they get where the user has set none."""
    state = state_dir()
    return {
        "ZENML_CONFIG_PATH": str(state / "zenml" / "config"),
        "ZENML_LOCAL_STORES_PATH": str(state / "zenml" / "stores"),
        # ZenML's repository marker (.zen) lives with the state, so that the work tree stays as it was cloned
        "ZENML_REPOSITORY_PATH": str(state / "zenml" / "repository"),
        "ZENML_CUSTOM_SOURCE_ROOT": str(project_root()),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_AUTO_OPEN_DASHBOARD": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # a server that restarts between two steps: pauses of 0, 2, 4, 8, 16, 32, 64, 120, ... seconds, 8 minutes in all
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "10",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "WANDB_MODE": "disabled",
        "OMP_NUM_THREADS": "1",
    }


def state_problem() -> str | None:
    """Return in one sentence why nothing can be written under the state folder, or None; nothing is created."""
    state = state_dir().absolute()
    name = f"SAERL_HOME is '{state}'" if os.environ.get("SAERL_HOME") else f"the state folder is '{state}'"
    way = "set SAERL_HOME to a folder that you may write to"
    for place in (state, *state.parents):
        if not os.path.lexists(place):
            continue
        if not place.is_dir():
            what = "a link to nothing" if place.is_symlink() and not place.exists() else "a file"
            where = f", which is {what}" if place == state else f", but '{place}' is {what}"
            return f"{name}{where}, not a folder; {way}"
        if not os.access(place, os.W_OK | os.X_OK):
            return f"{name}, but '{place}' is read-only here; {way}"
        free = shutil.disk_usage(place).free >> 20
        if free < _ROOM_MIB:
            return f"{name}, but only {free} MiB are left there; free some space, or {way}"
        return None
    return None


def _place_problem() -> str | None:
    try:
        Path.cwd()
    except OSError:
        return "the working directory does not exist any more; change to one that does"
    return None


def clone_problem() -> str | None:
    """Return in one sentence that this code is another clone's than the one we stand in, or None."""
    here = project_root().resolve()
    if here == _LIBRARY or not _is_clone(_LIBRARY):  # an installed library is nobody's clone
        return None
    return (
        f"you are in the clone '{here}', but this environment runs the code of the clone '{_LIBRARY}'; make an "
        "environment of its own here (`make install`, then `source .venv/bin/activate`), or work in the other clone"
    )


def _is_clone(folder: Path) -> bool:
    return all((folder / name).exists() for name in _OF_A_CLONE)


def collect_less() -> None:
    """Look for garbage less often: a command imports millions of objects that stay.

    Looking through them again and again is a seventh of the CPU time of a run that takes its steps from the cache.
    """
    gc.set_threshold(50_000, 20, 50)


def apply() -> None:
    """Set every default that the environment does not have yet; the command `zenml` also collects less.

    Raises:
        ConfigError: the local state would be written where nothing can be written, or the code is that of another
            clone. The command `zenml`, which calls this when it starts, ends with the sentence alone.
    """
    # who has put ZenML's own files elsewhere may import it without any state of ours
    problem = _place_problem() or clone_problem() or (None if "ZENML_CONFIG_PATH" in os.environ else state_problem())
    is_command = Path(sys.argv[0]).name == "zenml"
    if is_command:  # whoever else imports ZenML has a collector of their own
        collect_less()
    if problem is not None:
        if is_command:
            raise SystemExit(f"Error: {problem}")
        raise ConfigError(problem)
    if "HF_HUB_OFFLINE" not in os.environ:
        os.environ[OFFLINE_BY_DEFAULT] = "1"
    for name, value in defaults().items():
        os.environ.setdefault(name, value)
    if os.environ.get(
        "TMPDIR"
    ):  # Python passes over a folder that is not there, and other nodes would not see the files
        Path(os.environ["TMPDIR"]).mkdir(parents=True, exist_ok=True)
