"""Answers are data: what a model or a data set writes is compared, never evaluated, and reaches no shell."""

import pytest

from saerl_core.config.grading import GradingConfig
from saerl_core.rollouts.grading import Grader


@pytest.mark.parametrize("kind", ["math", "exact"])
def test_an_answer_is_never_evaluated(tmp_path, kind):
    canary = tmp_path / "canary"
    call = f"__import__('os').mkdir('{canary}')"
    texts = [call, f"${call}$", rf"\boxed{{{call}}}", f"The answer is {call}", f"answer: 1+{call}"]
    texts += [f"$(mkdir {canary})", f"`mkdir {canary}`", f"7\n; mkdir {canary}"]
    with Grader(GradingConfig(kind=kind)) as grader:
        for text in texts:
            grader.grade([text, "7"], ["7", text])
    assert not canary.exists()
