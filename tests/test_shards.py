import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.errors import DataError
from saerl_core.shards import FILE, WHOLE, Shard, ShardResult, content_hash, in_order, load_shard, save_shard

RESULT = ShardResult(
    "a_stage",
    Shard(2, 3),
    {"x": np.arange(40, dtype=np.float32), "none": np.zeros((0, 4))},
    {"said": ("a", "ü")},
    {"n": 2.0},
    seconds=1.5,
)


@given(st.lists(st.integers(), max_size=40), st.integers(1, 50))
def test_shards_are_all_items_in_order_and_of_equal_size(items, n):
    parts = [Shard(i, n).of(items) for i in range(1, n + 1)]
    assert [item for part in parts for item in part] == items
    sizes = {len(part) for part in parts}
    assert max(sizes) - min(sizes) <= 1
    assert WHOLE.of(items) == items


def test_a_shard_is_read_as_it_was_written(tmp_path):
    save_shard(RESULT, tmp_path)
    found = load_shard(tmp_path)
    assert (found.stage, found.shard, found.texts, found.numbers) == ("a_stage", Shard(2, 3), RESULT.texts, {"n": 2.0})
    assert found.seconds == 1.5
    assert found.arrays["none"].shape == (0, 4)
    assert content_hash(found) == content_hash(RESULT)


@pytest.mark.parametrize("how", ["gone", "cut", "flipped", "rubbish"])
def test_a_damaged_file_is_named(tmp_path, how):
    save_shard(RESULT, tmp_path)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[:-7])
    elif how == "flipped":
        content[-3] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(b"rubbish" * 20)
    with pytest.raises(DataError, match=FILE) as error:
        load_shard(tmp_path)
    assert "\n" not in str(error.value)


def test_damaged_and_foreign_shards_are_refused_by_who_merges():
    parts = [ShardResult("a_stage", Shard(i, 3), {}) for i in (3, 1, 2)]
    assert [part.shard.index for part in in_order(parts)] == [1, 2, 3]
    with pytest.raises(DataError, match=r"^it is damaged; repeat it$"):
        in_order([*parts[:2], ShardResult("", WHOLE, {}, damage="it is damaged; repeat it")])
    with pytest.raises(DataError, match="shard 1 of 3, shard 3 of 3 are not the parts of one pool"):
        in_order(parts[:2])
