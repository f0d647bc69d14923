"""Shares of what was trained on over time, by hand."""

import pandas as pd
import pytest

from saerl_core.tables import CONSUMED
from saerl_core.trained_on import MAX_VALUES, OTHER, TRAINED_ON, mean_over_seeds, trained_on


def consumed(*rows):
    """Return the books of (prompt_id, update, n_correct of 4, is_trained)."""
    table = pd.DataFrame(rows, columns=["prompt_id", "update", "n_correct", "is_trained"])
    return CONSUMED.check(table.assign(step=table["update"], slot=range(len(table)), n_rollouts=4))


def pool(**columns):
    return pd.DataFrame({"topic": None, "level": None, **columns})


def told(table):
    return {(r.kind, r.value, r.part): (r.share, r.pass_rate) for r in table.itertuples()}


def test_by_hand():
    prompts = pool(prompt_id=["a", "b", "c"], level=[1.0, 1.0, 2.0], topic=["sum", None, "sum"])
    books = consumed(("a", 0, 4, True), ("b", 0, 2, True), ("c", 0, 0, False), ("c", 1, 1, True), ("a", 1, 3, True))
    found = told(trained_on(books, prompts))
    assert found["level", "1", 0] == (1.0, 0.75), "what was screened does not count"
    assert found["level", "2", 0][0] == 0.0
    assert pd.isna(found["level", "2", 0][1])
    assert found["level", "1", 1] == (0.5, 0.75)
    assert found["level", "2", 1] == (0.5, 0.25)
    assert "topic" not in {kind for kind, *_ in found}, "one topic tells nothing"


def test_clusters_count_where_they_are_known_and_rare_values_are_one():
    ids = [f"p{i}" for i in range(12)]
    clusters = pd.DataFrame({"prompt_id": ids, "cluster_id": [*range(11), -1]})
    books = consumed(*((p, 0, 1, True) for p in [*ids, *ids[:3]]))
    table = trained_on(books, pool(prompt_id=ids), clusters)
    values = table.set_index("value")["share"]
    assert len(values) == MAX_VALUES + 1
    assert values["0"] == pytest.approx(2 / 15)
    assert values[OTHER] == pytest.approx(5 / 15), "four rare clusters and a prompt of none"


def test_a_long_training_has_ten_parts_and_a_short_one_as_many_as_it_has_updates():
    prompts = pool(prompt_id=["a", "b"], level=[1.0, 2.0])
    for n, parts in ((100, 10), (3, 3), (1, 1)):
        books = consumed(*((p, u, 1, True) for u in range(n) for p in ("a", "b")))
        table = trained_on(books, prompts)
        assert sorted(table["part"].unique()) == list(range(parts))
        assert (table["share"] == 0.5).all()


def test_nothing_trained_is_an_empty_table():
    assert trained_on(CONSUMED.empty(), pool(prompt_id=["a"])).empty
    assert mean_over_seeds([TRAINED_ON.empty()]).empty


def test_the_mean_counts_a_value_that_one_seed_lacks_as_nothing():
    prompts = pool(prompt_id=["a", "b", "c"], level=[1.0, 2.0, 3.0])
    one = trained_on(consumed(("a", 0, 4, True), ("b", 0, 0, True)), prompts)
    two = trained_on(consumed(("a", 0, 2, True), ("c", 0, 0, True)), prompts)
    mean = told(mean_over_seeds([one, two]))
    assert mean["level", "1", 0] == (0.5, 0.75)
    assert mean["level", "2", 0] == (0.25, 0.0)
