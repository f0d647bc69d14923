"""What must be the same for a saved training to be continued. No torch."""

import hashlib
from pathlib import Path

from saerl_core.algorithms import BACKENDS
from saerl_core.code import CORE, code_hash
from saerl_core.config.openrlhf import may_change_on_resume
from saerl_core.config.run import GradingConfig, OpenRlhfConfig, TrainingConfig
from saerl_core.records import TrainJob
from saerl_core.training.checkpoints import Fingerprint

_BESIDE = ("rollouts", "policy", "world", "algorithms.py", "seeds.py")  # code outside this room that decides the result
_BESIDE_OPENRLHF = ("config/openrlhf.py", "config/openrlhf_flags.py", "config/openrlhf_layout.py")
# Settings that may change between a run and its resume: where and how fast it runs, not what it trains.
_FREE = {"enabled", "seed", "save_every_steps", "eval_every_steps", "eval_n_samples", "device", "openrlhf"}


def settings_of(config: TrainingConfig) -> Fingerprint:
    """Return the settings that decide what is trained, each as a short text under the name that a person writes.

    Those that only say where the training runs, how much memory it takes or how often it saves are left out.
    """
    settings = {f"training.{k}": str(v) for k, v in config.model_dump().items() if k not in _FREE}
    if config.backend == "openrlhf":
        inner: OpenRlhfConfig = config.openrlhf
        named, free = inner.model_dump().items(), may_change_on_resume()
        settings |= {f"training.openrlhf.{k}": str(v) for k, v in named if k not in free}
    return settings


def job_fingerprint(job: TrainJob, **more: str) -> Fingerprint:
    """Return the fingerprint of a job: plan, policy, prompts, seed, sizes, settings, and what the backend adds."""
    columns = ["prompt_id", "prompt", "answer"]
    prompts = job.prompts[columns].sort_values("prompt_id").to_json(orient="values")
    return {
        "curriculum_hash": job.curriculum_hash,
        "policy_id": job.policy.policy_id,
        "prompt_format": str(job.policy.prompt_format),
        "seed": str(job.seed),
        "n_steps": str(job.n_steps),
        "max_rollouts": str(job.max_rollouts),
        "prompts_per_step": str(job.prompts_per_step),
        "prompts": hashlib.sha256(prompts.encode()).hexdigest()[:16],
        **_grading(job.grading),
        **more,
        **settings_of(job.config),
    }


def _grading(config: GradingConfig) -> Fingerprint:
    """Return what decides the rewards; of a user's function its name, its source and from where on it is a pass."""
    if config.kind != "python":
        return {"grading.kind": config.kind}
    names = ("kind", "function", "code", "correct_from")
    return {f"grading.{name}": str(getattr(config, name)) for name in names}


def training_code(backend: str, root: Path = CORE) -> str:
    """Return a hash over the code that trains: this room without the other backends, and the rooms that it calls."""
    others = {"__pycache__", *BACKENDS} - {backend}
    own = [place for place in (root / "training").iterdir() if place.name not in others]
    beside = [*_BESIDE, *(_BESIDE_OPENRLHF if backend == "openrlhf" else ())]
    return code_hash([*own, *(root / place for place in beside)], root)


def digest(fingerprint: Fingerprint) -> str:
    """Return a short hash of a fingerprint, for messages and file names."""
    lines = "".join(f"{key}\t{fingerprint[key]}\n" for key in sorted(fingerprint))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
