"""Folds keep together what belongs together."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from saerl_core.signals.folds import deal_folds, join_groups, text_groups


def test_copies_are_one_group():
    frame = pd.DataFrame({"prompt_id": ["a", "b", "c"], "prompt": ["Find  $x$", "find $x$\n", "find $y$"]})
    groups = text_groups(frame)
    assert groups["a"] == groups["b"] != groups["c"]


def test_linked_groups_are_joined_in_chains():
    groups = pd.Series([0, 1, 2, 3], index=list("abcd"))
    joined = join_groups(groups, [("a", "b"), ("c", "b"), ("d", "not there")])
    assert joined["a"] == joined["b"] == joined["c"] != joined["d"]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 15)), min_size=10, max_size=60), st.integers(2, 5))
def test_groups_stay_whole(rows, n_folds):
    labels = np.array([float(r[0]) for r in rows])
    groups = np.array([r[1] for r in rows])
    folds = deal_folds(labels, groups, n_folds, 0, "test")
    assert folds.min() >= 0
    assert folds.max() < n_folds
    for group in set(groups.tolist()):
        assert len(set(folds[groups == group].tolist())) == 1


def test_labels_are_spread_evenly():
    rng = np.random.default_rng(0)
    labels = rng.random(200) ** 3
    folds = deal_folds(labels, np.arange(200), 5, 0, "test")
    assert np.bincount(folds).tolist() == [40] * 5
    means = np.array([labels[folds == f].mean() for f in range(5)])
    assert np.ptp(means) < 0.03  # drawn at random it would be about 0.1
