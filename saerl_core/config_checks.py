"""Combinations of settings that cannot work, refused before any work starts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saerl_core.config import RunConfig


def check_combinations(config: "RunConfig") -> None:
    """Raise ValueError naming the fields, their values and the way out."""
    for problem in _problems(config):
        raise ValueError(problem)


def _problems(config: "RunConfig") -> list[str]:
    found: list[str] = []
    if config.training.enabled and config.training.algorithm == "ppo" and config.training.backend == "embedded":
        found.append(
            "training.algorithm is 'ppo', but training.backend 'embedded' trains no critic; "
            "set training.backend to 'openrlhf', or training.algorithm to one of grpo, dr_grpo, dapo, rloo"
        )
    return found
