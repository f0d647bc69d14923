"""`saerl_core.grade`: one completion or many, and what is no text."""

import re

import numpy as np
import pandas as pd
import pytest

from saerl_core import grade
from saerl_core.errors import DataError
from saerl_core.face_grading import texts_of


def test_grade_takes_one_or_many():
    assert grade("It is \\boxed{\\frac{1}{2}}.", "0.5").correct is True
    assert [v.correct for v in grade(["\\boxed{4}", "\\boxed{5}", ""], "4")] == [True, False, False]
    assert [v.correct for v in grade(("3#4", "3#5"), ["4", "4"], kind="task_world")] == [True, False]
    with pytest.raises(DataError, match="2 completions for 1 gold answers"):
        grade(["1", "2"], ["1"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (1, "the gold answer is 1 (int); gold answers are texts: give str(...) of it, or a list of texts"),
        (None, "the gold answer is None (NoneType); gold answers are texts: leave out what has none, or give ''"),
        ([float("nan")], "gold answer 1 of 1 is nan (float); gold answers are texts: leave out what has none, or"),
        (["1", pd.NA], "gold answer 2 of 2 is <NA> (NAType); gold answers are texts: leave out what has none"),
        (b"1", "the gold answer is b'1' (bytes); gold answers are texts: decode it, .decode('utf-8')"),
        ([b"1"], "gold answer 1 of 1 is b'1' (bytes); gold answers are texts: decode it, .decode('utf-8')"),
        ({"a": 1}, "the gold answers are {'a': 1} (dict); give a text or a list of texts, such as list(it.values())"),
        ({"1"}, "the gold answers are {'1'} (set), which has no order; give a text or a list of texts, such as sorted"),
        ([["1"]], "gold answer 1 of 1 is ['1'] (list); gold answers are texts: give str(...) of it, or a list"),
    ],
)
def test_what_is_no_text_is_told_by_its_value(given, told):
    with pytest.raises(DataError, match=re.escape(told)):
        texts_of(given, "gold answer")


def test_texts_come_in_any_order_that_has_one():
    for given in (["1", "2"], ("1", "2"), pd.Series(["1", "2"]), np.array(["1", "2"]), iter("12")):
        assert texts_of(given, "completion") == ["1", "2"]
