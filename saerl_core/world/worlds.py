"""The table of built-in worlds: what `splits.build_world` draws from, by the name of `prompts.source`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saerl_core.world import corruptions, everyday, problems
from saerl_core.world.problems import Problem


@dataclass(frozen=True)
class World:
    """One world: its cells are the topics x `problems.LEVELS`, its kinds of bad prompts `corruptions.KINDS`."""

    topics: tuple[str, ...]
    sample: Callable[[str, int, np.random.Generator], Problem]
    corrupt: Callable[[Problem, str, np.random.Generator], Problem | None]  # None: not possible for this problem
    split_text: Callable[[Problem], str]  # what decides the split


WORLDS = {
    "task_world": World(problems.TOPICS, problems.sample_problem, corruptions.corrupt, lambda problem: problem.prompt),
    "everyday": World(everyday.TOPICS, everyday.sample_problem, everyday.corrupt, everyday.calculation),
}
