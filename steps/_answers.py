"""How steps let the grader compare gold answers; `prompts` does not know it."""

from saerl_core.rollouts.same_answers import same_answers

__all__ = ["same_answers"]
