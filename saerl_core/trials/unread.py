"""Settings of a run that a comparison does not read: those that ask for a result are refused, the others are told."""

from dataclasses import dataclass

from pydantic import BaseModel

from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError

FIXED_IN_ARMS = {  # what an arm cannot differ in, and why
    "plan.n_steps": "steps follow from compare.budget_rollouts and the size of its batches",
    "training.enabled": "every arm is trained",
    "training.seed": "every arm is trained with each of compare.seeds",
    "training.eval_every_steps": "the points of a curve follow from compare.n_evaluations",
    "training.eval_n_samples": "held-out prompts are answered compare.n_samples times",
}


@dataclass(frozen=True)
class Unread:
    """A setting or section that a comparison does not read; `way_out` is None where a result does not depend on it."""

    path: str
    instead: str
    way_out: str | None = None


UNREAD = (
    Unread(
        "export",
        "a comparison makes a plan for every arm and seed, and writes none of them for another trainer",
        "remove it; for an arm's plan, run `zenml pipeline run saerl` with the arm's settings and this export, or "
        "`saerl export` on that run",
    ),
    Unread("control", "the baseline is the control of a comparison", "set it to 'auto' or 'none', or name such an arm"),
    Unread(
        "evaluation.benchmarks",
        "curves and scores rest on the prompts of compare.split; prompts.eval_path gives those of a benchmark",
    ),
    Unread("evaluation", "compare.split and compare.n_samples, and the temperature of each arm's training, count"),
    Unread("gate", "only `python -m pipelines retrain` reads it"),
    *(Unread(path, why) for path, why in FIXED_IN_ARMS.items()),
)
_HARMLESS = {"control": ("auto", "none")}


def unread_settings(config: RunConfig) -> list[str]:
    """Return one sentence for each setting that somebody has set and that a comparison does not read.

    Raises:
        ConfigError: such a setting asks for a result that a comparison does not give.
    """
    told: dict[str, str] = {}
    for row in UNREAD:
        for path, value in _set_by_hand(config, row.path).items():
            if path in told or value in _HARMLESS.get(path, ()):
                continue
            text = f"{path} is {value!r}, which a comparison does not read: {row.instead}"
            if row.way_out is not None:
                raise ConfigError(f"{text}; {row.way_out}")
            told[path] = text
    return list(told.values())


def _set_by_hand(config: RunConfig, path: str) -> dict[str, object]:
    """Return what of a setting or section differs from the defaults, by dotted path; a list of sections as names."""
    found: object = config
    default: object = RunConfig()
    for part in path.split("."):
        found, default = getattr(found, part), getattr(default, part)
    if isinstance(found, BaseModel):
        inner = (_set_by_hand(config, f"{path}.{name}") for name in type(found).model_fields)
        return {key: value for one in inner for key, value in one.items()}
    if isinstance(found, tuple):
        found = [getattr(item, "name", item) for item in found]
        default = list(default) if isinstance(default, tuple) else default
    return {} if found == default else {path: found}
