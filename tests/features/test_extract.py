import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import FeaturesConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.features.extract import Wanted, extract_features, pool_all
from saerl_core.features.sae_lens_import import quiet_sae_lens
from saerl_core.features.tokens import tokenize_prompts
from saerl_core.policy.loading import load_tokenizer
from tests.features.conftest import full_hidden, make_pool, save_model

CPU = FeaturesConfig(device="cpu")


def extract(pool, policy, sae, *, controls=False, seed=0, **settings):
    return extract_features(pool, policy, sae, CPU.model_copy(update=settings), seed, controls=controls)


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_a_row_is_the_pooled_encoding_of_its_prompt_alone(policy, sae, pool, pooling):
    """The reference: the whole model, a hook, sae-lens' own encode, one prompt at a time."""
    import torch

    some = pool.iloc[:12]
    features, controls, _ = extract(some, policy, sae, controls=True, pooling=pooling)
    with quiet_sae_lens() as sae_lens:
        theirs = sae_lens.SAE.load_from_disk(sae.path)
    tokenizer = load_tokenizer(policy)
    assert features.prompt_ids == tuple(some["prompt_id"])
    for i, text in enumerate(some["prompt"]):
        hidden = full_hidden(policy, tokenizer(text)["input_ids"], sae.hook_layer)[1:]
        with torch.inference_mode():
            z = theirs.encode(hidden).numpy()
        take = {"mean": lambda v: v.mean(axis=0), "max": lambda v: v.max(axis=0), "last": lambda v: v[-1]}[pooling]
        np.testing.assert_allclose(features.matrix[i].toarray()[0], take(z), atol=1e-5)
        np.testing.assert_allclose(controls.dense[i], take(hidden.numpy()), atol=1e-5)


def test_neither_the_batch_nor_the_order_of_rows_matters(policy, sae, pool):
    whole, controls, _ = extract(pool, policy, sae, controls=True)
    small, controls_small, _ = extract(pool, policy, sae, controls=True, batch_tokens=40)
    np.testing.assert_allclose(whole.matrix.toarray(), small.matrix.toarray(), atol=1e-5)
    np.testing.assert_allclose(controls.dense, controls_small.dense, atol=1e-5)
    np.testing.assert_allclose(controls.random_sae.toarray(), controls_small.random_sae.toarray(), atol=1e-5)
    shuffled = pool.sample(frac=1.0, random_state=1)
    other, _, _ = extract(shuffled, policy, sae)
    assert other.prompt_ids == tuple(shuffled["prompt_id"])
    np.testing.assert_allclose(other.rows(list(pool["prompt_id"])).toarray(), whole.matrix.toarray(), atol=1e-5)


def test_all_poolings_come_from_one_pass(policy, sae, pool):
    tokens = tokenize_prompts(pool, load_tokenizer(policy), 64)
    pooled = pool_all(tokens, policy, sae, CPU, 0, Wanted(controls=True))
    for pooling in ("mean", "max", "last"):
        features, controls, _ = extract(pool, policy, sae, controls=True, pooling=pooling)
        np.testing.assert_array_equal(pooled.sae[pooling].toarray(), features.matrix.toarray())
        np.testing.assert_array_equal(pooled.random_sae[pooling].toarray(), controls.random_sae.toarray())
        np.testing.assert_array_equal(pooled.dense[pooling], controls.dense)


def test_prompts_without_tokens_have_zero_rows_and_are_counted(policy, policy_without_bos, sae):
    pool = pd.DataFrame({"prompt_id": ["a", "b", "c"], "prompt": ["", "abc", ""]})
    for model in (policy, policy_without_bos):
        features, controls, report = extract(pool, model, sae, controls=True)
        assert features.matrix.getnnz(axis=1).tolist()[::2] == [0, 0]
        assert features.matrix.getnnz(axis=1)[1] >= 4
        assert (controls.dense[[0, 2]] == 0).all()
        assert report.values["n_empty_prompts"] == 2
        assert "2 of 3 prompts have no token" in report.notes[0]
    nothing, _, _ = extract(pool.iloc[[0, 2]], policy, sae)
    assert nothing.matrix.shape == (2, 64)
    assert nothing.matrix.nnz == 0


def test_the_report_counts_what_was_done(policy, sae, pool):
    features, _, report = extract(pool, policy, sae, max_prompt_tokens=11)
    lengths = pool["prompt"].str.len()
    assert report.values["n_truncated"] == (lengths > 10).sum()
    assert report.values["n_kept_tokens"] == lengths.clip(upper=10).sum()
    assert report.values["n_dropped_tokens"] == len(pool)  # one BOS each
    assert report.n_prefill_tokens == (lengths.clip(upper=10) + 1).sum()
    assert report.values["nnz_per_row"] == features.matrix.nnz / len(pool)
    assert 0 < report.values["l0"] <= 4
    assert features.meta.l0 == report.values["l0"]
    assert "longer than 11 tokens" in report.notes[0]


def test_the_controls_follow_the_seed(policy, sae, pool):
    _, one, _ = extract(pool, policy, sae, controls=True, seed=0)
    _, same, _ = extract(pool, policy, sae, controls=True, seed=0)
    _, other, _ = extract(pool, policy, sae, controls=True, seed=1)
    np.testing.assert_array_equal(one.random_sae.toarray(), same.random_sae.toarray())
    assert abs(one.random_sae - other.random_sae).max() > 0.01
    assert one.random_sae.shape == (len(pool), sae.d_sae)


def test_features_come_from_the_sae_s_own_model(policy, sae, pool, tmp_path):
    """Transfer: the policy may be another model, of another width."""
    features, _, _ = extract(pool, policy, sae)
    other = save_model(tmp_path / "wide", width=48, seed=5)
    moved, _, _ = extract(pool, other, replace(sae, model=policy.path))
    np.testing.assert_array_equal(moved.matrix.toarray(), features.matrix.toarray())
    with pytest.raises(ConfigError, match=r"32 numbers.*put out 48.*sae\.model"):
        extract(pool, other, sae)


def test_bad_input_is_refused(policy, sae):
    with pytest.raises(DataError, match="0 prompts"):
        extract(make_pool(0), policy, sae)
    with pytest.raises(ConfigError, match="3 blocks"):
        extract(make_pool(2), policy, replace(sae, hook_layer=9))


def test_reading_a_topk_sae_needs_no_sae_lens_and_importing_no_torch(policy, sae):
    """sae-lens takes seconds to import, and saerl_core alone must install without torch."""
    script = (
        "import sys, pandas as pd\n"
        "from pathlib import Path\n"
        "from saerl_core.features import extract, sae, sae_folder, storage\n"
        "assert 'torch' not in sys.modules\n"
        "from saerl_core.config.run import FeaturesConfig\n"
        "from saerl_core.records import PolicyRef\n"
        "ref = sae_folder.load_sae(Path(sys.argv[2]))\n"
        "pool = pd.DataFrame({'prompt_id': ['a'], 'prompt': ['abc']})\n"
        "args = (pool, PolicyRef(sys.argv[1], 'x'), ref, FeaturesConfig(device='cpu'), 0)\n"
        "assert extract.extract_features(*args, controls=True)[0].matrix.nnz > 0\n"
        "assert 'torch' in sys.modules and 'sae_lens' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, policy.path, str(sae.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
