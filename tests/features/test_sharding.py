"""Extraction in shards is extraction, to the last bit; and shards that are not those of the pool are refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import FeaturesConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.features.extract import extract_features, extract_named_features
from saerl_core.features.sharding import extract_shard, merge_features
from saerl_core.features.storage import content_hash
from saerl_core.shards import Shard, load_shard, save_shard
from tests.features.conftest import make_pool

CPU = FeaturesConfig(device="cpu", batch_tokens=48)


@pytest.fixture(scope="module")
def mixed(pool):
    """Lengths in no order, two prompts of nothing, one cut off."""
    texts = [*pool["prompt"][:60], "", "abc" * 40, *pool["prompt"][60:], ""]
    return pd.DataFrame({"prompt_id": [f"q{i * 7 % 123:03}" for i in range(len(texts))], "prompt": texts})


def in_shards(pool, policy, sae, config, n, folder=None):
    parts = [extract_shard(pool, policy, sae, config, 0, Shard(i, n)) for i in range(1, n + 1)]
    if folder is not None:
        for i, part in enumerate(parts):
            save_shard(part, folder / str(i))
        parts = [load_shard(folder / str(i)) for i in reversed(range(n))]
    return merge_features(pool, policy, sae, config, parts), parts


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_shards_make_what_one_pass_makes_to_the_last_bit(policy, sae, mixed, tmp_path, n, pooling):
    config = CPU.model_copy(update={"pooling": pooling, "max_prompt_tokens": 40})
    features, controls, report, names = extract_named_features(mixed, policy, sae, config, 0, controls=True)
    (merged, controls_m, report_m, names_m), parts = in_shards(mixed, policy, sae, config, n, tmp_path)
    assert all(len(part.arrays["rows"]) for part in parts), "every shard has a share"
    assert content_hash(merged) == content_hash(features)
    assert controls_m.prompt_ids == controls.prompt_ids
    np.testing.assert_array_equal(controls_m.dense, controls.dense)
    np.testing.assert_array_equal(controls_m.concentration, controls.concentration)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(controls_m.random_sae, part), getattr(controls.random_sae, part))
    pd.testing.assert_frame_equal(names_m, names)
    own, theirs = ({k: v for k, v in r.values.items() if k != "prompts_per_s"} for r in (report, report_m))
    assert theirs == own
    assert report_m.n_prefill_tokens == report.n_prefill_tokens
    assert report_m.notes[1:] == report.notes


def test_shards_of_prompts_instead_of_batches_are_not_the_same(policy, sae, mixed):
    """Why borders stand between batches: a prompt that is padded with others differs in its last bits."""
    whole, _, _ = extract_features(mixed, policy, sae, CPU, 0, controls=False)
    halves = [extract_features(half, policy, sae, CPU, 0, controls=False)[0] for half in (mixed[:61], mixed[61:])]
    found = np.concatenate([half.matrix.toarray() for half in halves])
    np.testing.assert_allclose(found, whole.matrix.toarray(), atol=1e-5)
    assert not np.array_equal(found, whole.matrix.toarray())


def test_shards_without_a_batch_are_told(policy, sae, pool):
    (merged, _, report, _), _ = in_shards(pool, policy, sae, FeaturesConfig(device="cpu"), 3)
    assert content_hash(merged) == content_hash(
        extract_features(pool, policy, sae, FeaturesConfig(device="cpu"), 0, controls=False)[0]
    )
    assert report.notes[0] == "Read in 3 shards; the seconds are those of all of them together."
    assert report.notes[1].startswith(
        "2 of 3 shards had nothing to do: the pool makes only 1 batches of features.batch"
    )


def test_more_shards_than_prompts_are_refused(policy, sae):
    with pytest.raises(ConfigError, match=r"^shards\.features is 9, but the pool has 5 prompts; set it to at most 5$"):
        extract_shard(make_pool(5), policy, sae, CPU, 0, Shard(1, 9))


def test_shards_that_do_not_make_the_pool_are_refused(policy, sae, mixed):
    one, two = (extract_shard(mixed, policy, sae, CPU, 0, Shard(i, 2)) for i in (1, 2))
    for wrong in ([one], [one, one], [one, replace(two, shard=Shard(2, 3))]):
        with pytest.raises(DataError, match="are not the parts of one pool"):
            merge_features(mixed, policy, sae, CPU, wrong)
    with pytest.raises(DataError, match="extract the shards of this pool"):
        merge_features(mixed[:80], policy, sae, CPU, [one, two])
