"""Tables are checked at every border."""

import numpy as np
import pandas as pd
import pytest

from saerl_core.errors import DataError
from saerl_core.schema import Column, TableSchema
from saerl_core.tables import CLUSTERS, DECISIONS, DIFFICULTY, PLAN, PROMPTS, QUALITY, SCORES

SCHEMA = TableSchema(
    "things",
    {
        "thing_id": Column("str"),
        "size": Column("int", 1, 9),
        "share": Column("float", 0.0, 1.0, nullable=True),
        "note": Column("str", nullable=True),
        "good": Column("bool"),
    },
    key=("thing_id",),
)


def frame(**changes):
    columns = {
        "thing_id": ["a", "b"],
        "size": [1, 9],
        "share": [0.0, None],
        "note": ["x", None],
        "good": [True, False],
    }
    return pd.DataFrame(columns | changes)


def test_a_good_table_keeps_its_rows_and_gets_the_declared_order_and_dtypes():
    shuffled = frame()[["good", "note", "share", "size", "thing_id"]].set_axis([7, 3])
    checked = SCHEMA.check(shuffled)
    assert list(checked.columns) == ["thing_id", "size", "share", "note", "good"]
    assert checked.index.tolist() == [0, 1]
    assert checked["thing_id"].tolist() == ["a", "b"]
    assert (checked["size"].dtype, checked["share"].dtype, checked["good"].dtype) == ("int64", "float64", "bool")
    assert np.isnan(checked["share"][1])
    assert pd.isna(checked["note"][1])


def test_checking_twice_changes_nothing():
    once = SCHEMA.check(frame())
    pd.testing.assert_frame_equal(SCHEMA.check(once), once)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": [0, 1]}, r"column 'size' of table 'things' holds 0\.0, which is below 1"),
        ({"size": [1, 10]}, r"column 'size' of table 'things' holds 10\.0, which is above 9"),
        ({"share": [0.5, 1.5]}, r"column 'share' .* holds 1\.5, which is above 1"),
        ({"share": [0.5, np.inf]}, "column 'share' .* infinite values"),
        ({"size": [1.5, 2.0]}, "column 'size' .* is not of kind int: it holds numbers that are not whole"),
        ({"good": ["True", "False"]}, "column 'good' .* is not of kind bool: it holds values other than"),
        ({"size": ["one", "two"]}, "column 'size' .* is not of kind int"),
        ({"thing_id": ["a", None]}, "column 'thing_id' .* has 1 missing values; none is allowed"),
        ({"good": [True, None]}, "column 'good' .* has 1 missing values"),
        ({"thing_id": ["a", "a"]}, r"table 'things' holds key \{'thing_id': 'a'\} more than once"),
        ({"colour": ["red", "blue"]}, r"undeclared columns \['colour'\]"),
    ],
)
def test_a_bad_table_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        SCHEMA.check(frame(**changes))


def test_a_missing_column_is_named_with_what_is_declared():
    with pytest.raises(DataError, match=r"missing columns \['size', 'good'\].*declared with"):
        SCHEMA.check(frame().drop(columns=["size", "good"]))


@pytest.mark.parametrize("schema", [PROMPTS, QUALITY, CLUSTERS, DIFFICULTY, PLAN, DECISIONS, SCORES])
def test_an_empty_table_has_the_declared_columns_and_passes_its_own_check(schema):
    empty = schema.empty()
    assert len(empty) == 0
    pd.testing.assert_frame_equal(schema.check(empty), empty)


@pytest.mark.parametrize("schema", [SCHEMA])
def test_a_table_survives_parquet(schema, tmp_path):
    checked = schema.check(frame())
    checked.to_parquet(tmp_path / "t.parquet", index=False)
    pd.testing.assert_frame_equal(schema.check(pd.read_parquet(tmp_path / "t.parquet")), checked)


def test_a_table_of_an_earlier_version_lacks_a_new_column():
    new = TableSchema("t", {"a": Column("int"), "b": Column("str", nullable=True, is_new=True)})
    assert list(new.check(pd.DataFrame({"a": [1, 2]}))["b"]) == [None, None]
    assert list(new.check(pd.DataFrame({"a": [1], "b": ["x"]}))["b"]) == ["x"]
    assert len(new.empty()) == 0
