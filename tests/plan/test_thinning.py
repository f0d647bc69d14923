"""Fewer steps than batches."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from saerl_core.plan.batches import Batch
from saerl_core.plan.thinning import thin


def batches(groups):
    return [Batch((f"p{i}",), group) for i, group in enumerate(groups)]


def test_alternating_clusters_both_stay():
    """Every second batch would be all of one cluster."""
    chosen = thin(batches([0, 1] * 6), 6)
    assert Counter(b.group for b in chosen) == {0: 3, 1: 3}


def test_shares_are_kept_over_unequal_clusters():
    chosen = thin(batches([0, 1, 0, 2, 0, 1] * 10), 30)
    assert Counter(b.group for b in chosen) == {0: 15, 1: 10, 2: 5}


def test_one_group_is_thinned_evenly():
    chosen = thin(batches([0] * 12), 4)
    assert [b.prompt_ids[0] for b in chosen] == ["p1", "p4", "p7", "p10"]  # the middle of each window of three


def test_enough_steps_keep_everything():
    order = batches([0, 1, 2])
    assert thin(order, 3) == thin(order, 9) == order


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 60))
def test_each_window_gives_one_batch_and_the_order_is_kept(groups, n_steps):
    order = batches(groups)
    n = len(order)
    places = [order.index(b) for b in thin(order, n_steps)]
    if n_steps >= n:
        assert places == list(range(n))
    else:
        assert len(places) == n_steps
        assert all(i * n // n_steps <= p < (i + 1) * n // n_steps for i, p in enumerate(places))
