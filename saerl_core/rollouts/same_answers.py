"""Whether two gold answers mean the same: what `prompts` asks of the grader, which it does not know."""

from saerl_core.config.grading import GradingConfig
from saerl_core.rollouts.grading import Grader


def same_answers(pairs: list[tuple[str, str]]) -> list[bool | None]:
    """Return whether the two gold answers of each pair are equal in mathematics; None where that cannot be told."""
    with Grader(GradingConfig(kind="math")) as grader:
        verdicts = grader.grade([f"\\boxed{{{answer}}}" for answer, _ in pairs], [gold for _, gold in pairs])
    return [verdict.correct for verdict in verdicts]
