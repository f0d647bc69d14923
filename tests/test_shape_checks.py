"""Every function of the library checks its annotations in tests, with arrays and without."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from saerl_core import stats
from saerl_core.compare.trials import Point, smoothed
from saerl_core.plan.strategies import lookup


def test_a_wrong_argument_is_refused():
    with pytest.raises(TypeCheckError):
        lookup.find(3)
    with pytest.raises(TypeCheckError):
        stats.seeds_needed("spread", 1.0)


def test_a_record_is_checked_too_and_an_int_is_a_float():
    assert Point(step=1, n_rollouts=1, n_tokens=1, seconds=1, accuracy=1).seconds == 1
    with pytest.raises(TypeCheckError):
        Point(step="first", n_rollouts=1, n_tokens=1, seconds=1.0, accuracy=1.0)


def test_a_wrong_shape_is_refused():
    with pytest.raises(TypeCheckError):
        smoothed(np.zeros((2, 2)))
