import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from saerl_core.config.run import VectorsConfig
from saerl_core.errors import DataError
from saerl_core.records import ControlFeatures, FeatureMeta, SaeFeatures
from saerl_core.signals.vectors import metadata, prompt_vectors, whitened
from tests.signals.factory import pool as pool_of

N = 40
IDS = [f"p{i}" for i in range(N)]


@pytest.fixture
def pool():
    rng = np.random.default_rng(0)
    sparse = [csr_matrix(np.maximum(rng.standard_normal((N, 12)), 0).astype(np.float32)) for _ in range(2)]
    prompts = pd.DataFrame({"prompt_id": IDS, "prompt": [f"{i}+{i * 7 % 11}=" for i in range(N)]})
    meta = FeatureMeta("m", "h", "s", "mean", 1.0)
    controls = ControlFeatures(tuple(IDS), rng.standard_normal((N, 6)).astype(np.float32), sparse[1])
    nll = pd.DataFrame(
        rng.random((N, 4)), columns=[f"{a}_nll_{b}" for a in ("prompt", "answer") for b in ("mean", "max")]
    )
    return prompts, SaeFeatures(tuple(IDS), sparse[0], meta), controls, nll.assign(prompt_id=IDS)


@pytest.mark.parametrize("features", ["sae", "dense", "random_sae", "surface"])
def test_components_are_white(pool, features):
    prompts, sae, controls, _ = pool
    config = VectorsConfig(features=features, n_components=4)
    vectors = prompt_vectors(prompts, sae, controls, None, config, 0)
    assert vectors.prompt_ids == tuple(IDS)
    assert vectors.matrix.shape == (N, 4)
    assert vectors.matrix.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)
    assert vectors.matrix.std(axis=0) == pytest.approx(np.ones(4))


def test_feature_sets_differ(pool):
    prompts, sae, controls, _ = pool
    each = [
        prompt_vectors(prompts, sae, controls, None, VectorsConfig(features=f, n_components=3), 0).matrix
        for f in ("sae", "dense", "random_sae", "surface")
    ]
    assert all(not np.allclose(a, b) for i, a in enumerate(each) for b in each[:i])


def test_without_features_only_likelihoods_tell_prompts_apart(pool):
    prompts, sae, controls, nll = pool
    none = VectorsConfig(features="none")
    assert prompt_vectors(prompts, sae, controls, None, none, 0).matrix.shape == (N, 0)
    shuffled = nll.sample(frac=1, random_state=1)
    matrix = prompt_vectors(prompts, sae, controls, shuffled, none, 0).matrix
    logs = np.log(0.05 + nll[nll.columns[:4]].to_numpy())
    assert matrix == pytest.approx(1.5 * (logs - logs.mean(0)) / logs.std(0))


def test_a_prompt_without_likelihood_is_refused(pool):
    prompts, sae, controls, nll = pool
    with pytest.raises(DataError, match="prompt p0 has no likelihood"):
        prompt_vectors(prompts, sae, controls, nll.iloc[1:], VectorsConfig(features="none"), 0)


def test_components_without_spread_are_left_out():
    flat = np.outer(np.arange(10.0), np.ones(4))  # rank 1
    assert whitened(flat, 3, 0).shape == (10, 1)


def test_one_prompt_has_no_components():
    with pytest.raises(DataError, match="1 x 5 has no components"):
        whitened(np.ones((1, 5)), 3, 0)


def test_metadata_are_centred_columns_of_topic_level_and_both():
    frame = pool_of(60, topic=["a", "b"] * 30, level=([1.0] * 30 + [2.0] * 30))
    found = metadata(frame)
    assert found.shape == (60, 2 + 2 + 4)
    assert np.allclose(found.mean(axis=0), 0.0)
    assert np.linalg.matrix_rank(found) == 3, "topic, level, and what only both together say"


def test_data_without_topics_have_no_metadata():
    frame = pool_of(60).assign(topic=None, level=np.nan)
    assert metadata(frame).shape == (60, 0)


def test_kinds_that_few_have_get_no_column():
    frame = pool_of(60, topic=["a"] * 29 + ["b"] * 29 + ["rare", "rarer"]).assign(level=np.nan)
    assert metadata(frame).shape == (60, 2)
