"""Where the steps that ask for a GPU run: on the active stack's orchestrator, or on its step operator."""

import os
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from zenml.stack import Stack

from saerl_core.config.run import RunConfig, StrategySettings
from saerl_core.errors import ConfigError
from saerl_core.features.foreign_sae import check_source
from saerl_core.hub import named_saes
from saerl_core.policy.named import check_folders
from saerl_core.rollouts.vllm_environment import check_gpus, check_head_size, installed_vllm
from saerl_core.signals.labels import may_lack_labels
from saerl_core.training.backends import check_environment
from saerl_core.trials.arms import other_readings, resolve_arms

TRIAL_STEP = "run_trial"  # what a run file calls the step of which a comparison makes one for every trial
# called again for every reading of the pool that is not the run's own
READING_STEPS = (
    "obtain_sae",
    "extract_sae_features",
    "train_quality_probe",
    "cluster_prompts",
    "measure_likelihoods",
    "calibrate_difficulty",
)
SHARDED = {  # step -> setting of `shards`
    "extract_sae_features": "features",
    "measure_pass_rates": "pass_rates",
    "measure_likelihoods": "likelihoods",
}
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


def check_environments(config: RunConfig, run_file: str | None) -> None:
    """Raise `ConfigError` where steps run on this machine, and a model, an engine or a trainer is not on it.

    A run file whose steps ask for GPUs of their own is for pods. Engine `auto` is left to the steps: it takes vLLM for
    a large policy only, and none is loaded yet.
    """
    try:
        check_folders(config)
        for sae in named_saes(config):
            check_source(sae)
        if config.rollouts.engine == "vllm" and (config.may_measure or config.evaluation.enabled):
            vllm = installed_vllm(config.rollouts.python)
            check_gpus(vllm, config.rollouts)
            if config.policy.source != "pretrained":  # the step of its labels looks at any other policy
                check_head_size(vllm, config.policy.hidden_size // config.policy.n_heads)
        check_environment(config.training)
    except ConfigError:
        if _runs_here(run_file):
            raise


def _runs_here(run_file: str | None) -> bool:
    if gpu_steps(run_file):
        return False
    from zenml.client import Client

    stack = Client().active_stack
    return bool(stack.orchestrator.flavor == "local") and stack.step_operator is None


def gpu_steps(run_file: str | None) -> list[str]:
    """Return the steps of a run file whose settings ask for a GPU, in the order of the file."""
    return [name for name, step in _steps(run_file).items() if any(_gpus(step))]


def trial_steps(config: RunConfig) -> dict[str, tuple[str, int]]:
    """Return the steps of a comparison's trials, each with its arm and seed; none where worker processes run them."""
    compare = config.compare
    if compare.place == "workers":
        return {}
    return {f"trial_{arm.name}_{seed}": (arm.name, seed) for arm in compare.arms for seed in compare.seeds}


def shard_names(step: str, n: int) -> list[str]:
    """Return the names of the steps that read the shards of a pool."""
    return [f"{step}_shard_{i}" for i in range(1, n + 1)]


def copied_steps(config: RunConfig, *, compares: bool) -> dict[str, str]:
    """Return the steps that are called under other names, each with the name that a run file knows.

    Those are the steps of shards, and of a comparison those of trials and of readings of the pool.
    """
    copies: dict[str, str] = {}
    if compares:
        names = other_readings(config, config.compare)
        copies = {f"{step}_{name}": step for name in names for step in READING_STEPS}
    for name, step in [*((step, step) for step in SHARDED), *copies.items()]:
        if n_shards(config, step) > 1:
            copies |= dict.fromkeys(shard_names(name, n_shards(config, step)), step)
    return copies | (dict.fromkeys(trial_steps(config), TRIAL_STEP) if compares else {})


def replaced_steps(config: RunConfig) -> set[str]:
    """Return the names of steps that a run file knows and that are called under other names only."""
    return {TRIAL_STEP, *(step for step in SHARDED if n_shards(config, step) > 1)}


def n_shards(config: RunConfig, step: str) -> int:
    """Return in how many shards a step runs; 1 for a step that cannot be divided."""
    return int(getattr(config.shards, SHARDED[step])) if step in SHARDED else 1


def strategies(config: RunConfig, *, compares: bool) -> list[StrategySettings]:
    """Return the strategies that a run plans with, or those of a comparison's arms."""
    if not compares:
        return [config.plan.strategy]
    return [arm.plan.strategy for arm in resolve_arms(config, config.compare)]


def may_read_likelihoods(config: RunConfig, *, compares: bool) -> bool | None:
    """Tell whether the policy reads the pool for its likelihoods; None where the labels of the pool decide."""
    wanted = [s.vectors() for s in strategies(config, compares=compares)]
    return any(w is not None and w.use_likelihood for w in wanted) or may_lack_labels(config)


def shards_told(config: RunConfig, run_file: str | None, *, compares: bool = False) -> list[str]:
    """Return a sentence for every step that runs in shards: how many pods that are, and with how many GPUs."""
    steps, told = _steps(run_file), []
    for step, setting in SHARDED.items():
        n = n_shards(config, step)
        if n == 1 or not _may_run(config, step, compares):
            continue
        gpus = max(_gpus(steps.get(step)), default=0)
        total = f"{gpus} GPU{'s' * (gpus != 1)} each, {n * gpus} in all" if gpus else "no GPU"
        told.append(
            f"{step} runs in {n} shards (shards.{setting}): on Kubernetes {n} pods side by side with {total}, "
            f"elsewhere one after another{_unless(config, step, compares)}"
        )
    return told


def _unless(config: RunConfig, step: str, compares: bool) -> str:
    by_the_pool = step == "measure_likelihoods" and may_read_likelihoods(config, compares=compares) is None
    return "; they have nothing to do where the prompts bring labels" if by_the_pool else ""


def _may_run(config: RunConfig, step: str, compares: bool) -> bool:
    """Tell whether a step that can be divided may have something to do."""
    if step == "measure_likelihoods":
        return may_read_likelihoods(config, compares=compares) is not False
    return step != "measure_pass_rates" or config.may_measure


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


def _gpus(node: object) -> Iterator[int]:
    """Yield every amount of GPUs: a pod's `nvidia.com/gpu`, a ResourceSettings' `gpu_count`; 1 for one in words."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            name = str(key).rpartition("/")[2]
            if (name in ("gpu", "gpu_count") or name.startswith("mig-")) and not isinstance(value, Mapping | list):
                yield 0 if value is None else int(str(value)) if str(value).isdigit() else 1
            yield from _gpus(value)
    elif isinstance(node, list):
        for item in node:
            yield from _gpus(item)
