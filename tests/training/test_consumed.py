"""The comparison of planned and consumed, and the running hash."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.errors import BackendError
from saerl_core.plan.hashing import plan_hash
from saerl_core.tables import CONSUMED
from saerl_core.training.consumed import ConsumedHash, batches_of, check_consumed

ID = st.sampled_from(["a", "b", "c", "d"])
BATCHES = st.lists(st.lists(ID, min_size=3, max_size=3), min_size=1, max_size=5)


def table(batches, shuffle=None):
    rows = [(s, k, p, 8, 0, s, True) for s, batch in enumerate(batches) for k, p in enumerate(batch)]
    frame = pd.DataFrame(rows, columns=list(CONSUMED.columns))
    return frame if shuffle is None else frame.sample(frac=1, random_state=shuffle)


@given(BATCHES, st.integers(0, 99))
def test_the_same_order_passes_whatever_the_order_of_the_rows(batches, shuffle):
    check_consumed(batches, table(batches, shuffle))
    assert list(batches_of(table(batches, shuffle)).values()) == batches


@given(BATCHES, BATCHES)
def test_another_order_never_passes(planned, trained):
    if planned == trained:
        return
    with pytest.raises(BackendError):
        check_consumed(planned, table(trained))


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ([["a", "b"], ["d", "c"]], "step 1, slot 0: c was planned, d was trained"),
        ([["b", "a"], ["c", "d"]], "step 0, slot 0: a was planned, b was trained"),
        ([["a", "b"]], "step 1, slot 0: c was planned, nothing was trained"),
        ([["a", "b"], ["c", "d", "a"]], "step 1, slot 2: nothing was planned, a was trained"),
        ([["a", "b"], ["c", "d"], ["a", "b"]], "went on to step 2, but only 2 batches were planned"),
    ],
)
def test_the_first_difference_is_named(trained, said):
    with pytest.raises(BackendError, match=said):
        check_consumed([["a", "b"], ["c", "d"]], table(trained))


@given(BATCHES)
def test_the_hash_after_the_last_step_is_that_of_the_plan(batches):
    running = ConsumedHash()
    for step, batch in enumerate(batches):
        running.add(step, batch[:1])
        running.add(step, batch[1:], first_slot=1)
    assert running.digest() == plan_hash(table(batches))
