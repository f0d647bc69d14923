from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.errors import ConfigError
from saerl_core.evaluation.estimators import mean_and_stderr, pass_at_k


def test_pass_at_k_by_hand() -> None:
    # n = 4, k = 2: C(4, 2) = 6 pairs, of which C(4 - c, 2) hold no correct one: 6, 3, 1, 0, 0
    np.testing.assert_allclose(pass_at_k(4, np.arange(5), 2), [0, 3 / 6, 5 / 6, 1, 1])
    np.testing.assert_allclose(pass_at_k(8, np.array([3]), 1), [3 / 8])
    np.testing.assert_allclose(pass_at_k(8, np.array([0, 1, 8]), 8), [0, 1, 1])


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_one(case: tuple[int, int, int]) -> None:
    n, c, k = case
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, np.array([c]), k)[0] == pytest.approx(np.mean([any(s) for s in subsets]), abs=1e-12)


def test_pass_at_k_of_many_samples_is_finite() -> None:
    scores = pass_at_k(1000, np.arange(1001), 100)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) >= 0).all()
    assert scores[-1] == 1.0


@pytest.mark.parametrize("k", [0, 9])
def test_a_k_that_the_samples_cannot_give_is_refused(k: int) -> None:
    with pytest.raises(ConfigError, match=rf"pass@{k} cannot be estimated from 8 completions"):
        pass_at_k(8, np.array([1]), k)


def test_mean_and_stderr_by_hand() -> None:
    mean, stderr = mean_and_stderr(np.array([0.0, 0.5, 1.0, 0.5]))
    assert mean == 0.5
    assert stderr == pytest.approx((0.5 / 3) ** 0.5 / 2)  # variance (.25 + .25) / 3 over n = 4
    mean, stderr = mean_and_stderr(np.array([0.25]))
    assert mean == 0.25
    assert np.isnan(stderr)
