"""Where the steps that ask for a GPU run: on the active stack's orchestrator, or on its step operator."""

import os
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from zenml.stack import Stack

from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError
from saerl_core.trials.arms import other_readings

TRIAL_STEP = "run_trial"  # what a run file calls the step of which a comparison makes one for every trial
# called again for every reading of the pool that is not the run's own
READING_STEPS = (
    "obtain_sae", "extract_sae_features", "train_quality_probe", "cluster_prompts", "calibrate_difficulty",
)  # fmt: skip
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def step_operators(stack: Stack, run_file: str | None) -> dict[str, str]:
    """Return the step operator of each step of a run file that asks for a GPU; none where the orchestrator has pods.

    Raises:
        ConfigError: If the stack cannot give a step its GPU: Kubeflow without a step operator.
    """
    steps = gpu_steps(run_file)
    if not steps or stack.orchestrator.flavor == "kubernetes":
        return {}
    if stack.step_operator is not None:
        return dict.fromkeys(steps, stack.step_operator.name)
    if stack.orchestrator.flavor == "kubeflow":
        raise ConfigError(
            f"{run_file} asks for GPUs in {', '.join(steps)}, but the active ZenML stack '{stack.name}' runs on "
            "Kubeflow, whose orchestrator in ZenML 0.98.0 drops the pod settings of a step and fails on its "
            "ResourceSettings; add a Kubernetes step operator to the stack (deploy/stacks/kubeflow.yaml), or use a "
            "stack with the Kubernetes orchestrator (deploy/stacks/k8s-gpu.yaml)"
        )
    return {}


def gpu_steps(run_file: str | None) -> list[str]:
    """Return the steps of a run file whose settings ask for a GPU, in the order of the file."""
    return [name for name, step in _steps(run_file).items() if any(_asks_for_gpu(step))]


def trial_steps(config: RunConfig) -> dict[str, tuple[str, int]]:
    """Return the steps of a comparison's trials, each with its arm and seed; none where worker processes run them."""
    compare = config.compare
    if compare.place == "workers":
        return {}
    return {f"trial_{arm.name}_{seed}": (arm.name, seed) for arm in compare.arms for seed in compare.seeds}


def copied_steps(config: RunConfig) -> dict[str, str]:
    """Return the steps that a comparison calls again under other names, each with the name that a run file knows."""
    of_trials = dict.fromkeys(trial_steps(config), TRIAL_STEP)
    names = other_readings(config, config.compare)
    return of_trials | {f"{step}_{name}": step for name in names for step in READING_STEPS}


def settings_of_copies(run_file: str | None, copies: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the settings that a run file gives to a step, for each copy of it under another name."""
    steps = _steps(run_file)
    return {
        name: deepcopy(dict(content)) for name, of in copies.items() if isinstance(content := steps.get(of), Mapping)
    }


def missing_variables(run_file: str | None) -> list[str]:
    """Return the variables that a run file names as `${NAME}` and the environment does not have."""
    if run_file is None:
        return []
    lines = Path(run_file).read_text(encoding="utf-8").splitlines()
    names = {name for line in lines if not line.lstrip().startswith("#") for name in _VARIABLE.findall(line)}
    return sorted(name for name in names if name not in os.environ)


def _steps(run_file: str | None) -> Mapping[str, object]:
    if run_file is None:
        return {}
    content = yaml.safe_load(Path(run_file).read_text(encoding="utf-8"))
    steps = content.get("steps") if isinstance(content, Mapping) else None
    return steps if isinstance(steps, Mapping) else {}


def _asks_for_gpu(node: object) -> Iterator[bool]:
    """Yield true for every amount of GPUs above zero: a pod's `nvidia.com/gpu`, a ResourceSettings' `gpu_count`."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            name = str(key).rpartition("/")[2]
            if (name in ("gpu", "gpu_count") or name.startswith("mig-")) and not isinstance(value, Mapping | list):
                yield str(value) not in ("0", "None")
            yield from _asks_for_gpu(value)
    elif isinstance(node, list):
        for item in node:
            yield from _asks_for_gpu(item)
