"""A reward function of one's own: `grading: {kind: python, function: reward_function:grade}` in a run file.

Copy this file into the folder in which you start the run, and change `grade`. It gets the policy's completion and the
prompt's gold answer, and returns a bool or a number in [0, 1]. Run as a script, it shows what saerl will make of it.
"""

import re


def grade(completion: str, answer: str) -> float:
    """Return 1 for the right number, something for a near one, and a little for a number at all."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", completion)
    if not numbers:
        return 0.0
    given, gold = float(numbers[-1]), float(answer)
    if given == gold:
        return 1.0
    return 0.1 + 0.3 * (abs(given - gold) <= 0.1 * abs(gold))


if __name__ == "__main__":
    from saerl_core.config.grading import GradingConfig
    from saerl_core.rollouts.grading import Grader

    config = GradingConfig(kind="python", function="reward_function:grade")
    completions = ["3 times 4 is 12", "I guess 13", "100", "no idea", "12 it is"]
    with Grader(config) as grader:
        verdicts = grader.grade(completions, ["12", "12", "12", "12", "twelve"])
    for completion, verdict in zip(completions, verdicts, strict=True):
        print(f"{completion!r}: reward {verdict.reward}, {verdict.reason} {verdict.failure}")
