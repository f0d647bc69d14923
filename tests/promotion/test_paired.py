"""The interval against what statistics says about it."""

import numpy as np
import pandas as pd
import pytest

from saerl_core import stats
from saerl_core.errors import DataError
from saerl_core.promotion.paired import bootstrap, pairs
from tests.promotion.factory import items


def test_the_interval_is_the_normal_one_for_many_prompts():
    values = np.random.default_rng(1).normal(0.1, 1.0, 400)
    found = bootstrap(values, 0.95, 20_000, np.random.default_rng(0))
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert (found.lo, found.hi) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.006)


def test_it_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        found = bootstrap(rng.uniform(-1, 1, 60), 0.9, 1000, rng)
        covered += found.lo <= 0 <= found.hi
    assert 0.85 <= covered / 300 <= 0.94


def test_memory_is_bounded_and_changes_nothing(monkeypatch):
    values = np.random.default_rng(3).uniform(size=50)
    whole = bootstrap(values, 0.95, 1000, np.random.default_rng(0))
    monkeypatch.setattr(stats, "_MAX_CELLS", 777)
    assert bootstrap(values, 0.95, 1000, np.random.default_rng(0)) == whole


def test_no_values_have_no_mean():
    with pytest.raises(DataError, match="at least one"):
        bootstrap(np.array([]), 0.95, 1000, np.random.default_rng(0))


def test_pairs_join_by_item():
    ours, theirs = items([4, 0], ["a", None]), items([1, 2], ["old", "old"], policy="before")
    table = pairs(ours.iloc[::-1], theirs)
    assert list(table["candidate"]) == [1.0, 0.0]
    assert list(table["champion"]) == [0.25, 0.5]
    assert table["topic"][0] == "a"


def test_two_policies_in_one_table_are_refused():
    with pytest.raises(DataError, match="one policy"):
        pairs(pd.concat([items([1]), items([1], policy="before")]), items([1], policy="before"))
