"""The comparison that is handed to `prompts`: the one grader, on two gold answers."""

import pytest

from saerl_core.rollouts.same_answers import same_answers

_PAIRS = [
    ("\\frac{5}{6}", "\\dfrac{10}{12}", True),
    ("0.5", "\\frac{1}{2}", True),
    ("x=1, y=2", "x=1,y=2", True),
    ("5", "6", False),
    ("k>0", "k<0", False),
]


@pytest.mark.parametrize("turned", [False, True])
def test_gold_answers_are_compared_in_mathematics(turned):
    pairs = [(b, a) if turned else (a, b) for a, b, _ in _PAIRS]
    verdicts = same_answers(pairs)
    assert [v is True for v in verdicts] == [equal for *_, equal in _PAIRS]
