from collections import Counter

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import FeaturesConfig, SaeConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.features import buffer, sae_folder
from saerl_core.features.extract import extract_features
from saerl_core.features.health import sae_health
from saerl_core.features.models import load_lower_model
from saerl_core.features.sae import obtain_sae
from saerl_core.features.sae_config import read_sae_config
from saerl_core.features.sae_lens_import import quiet_sae_lens
from saerl_core.features.tokens import tokenize_prompts
from saerl_core.policy.loading import load_tokenizer
from tests.features.conftest import SMALL_SAE, full_hidden, make_pool, save_model
from tests.policy.tiny_gguf import WIDTH, write_gguf

CPU = FeaturesConfig(device="cpu")
QUICK = SMALL_SAE.model_copy(update={"train_tokens": 640})


def test_the_folder_is_one_that_sae_lens_loads(sae, policy):
    import torch

    with quiet_sae_lens() as sae_lens:
        theirs = sae_lens.SAE.load_from_disk(sae.path)
    assert (theirs.cfg.d_in, theirs.cfg.d_sae, theirs.cfg.k) == (sae.d_in, sae.d_sae, 4) == (32, 64, 4)
    assert theirs.cfg.normalize_activations == "none"
    metadata = theirs.cfg.metadata
    assert (metadata.hook_name, metadata.hf_hook_name) == ("blocks.1.hook_resid_post", "model.layers.1")
    assert (metadata.model_name, metadata.prepend_bos) == ("with_bos", True)
    # Activations were scaled in training: folded, the SAE must reconstruct raw ones.
    hidden = full_hidden(policy, load_tokenizer(policy)("0123456789abcdef")["input_ids"], 1)[1:]
    with torch.inference_mode():
        error = (theirs(hidden) - hidden).square().sum() / (hidden - hidden.mean(0)).square().sum()
    assert error < 0.7


def test_the_report_says_how_good_it_is(trained):
    _, report = trained
    values = report.values
    assert 3.5 < values["l0"] <= 4
    assert 0.4 < values["explained_variance"] < 1
    assert 0 <= values["dead_frac"] < 0.5
    assert values["n_eval_prompts"] == 12
    assert report.loss_curve[0][0] == 0
    assert report.loss_curve[-1][1] < 0.5 * report.loss_curve[0][1]
    assert "passes over the pool" in report.notes[0]


def test_the_same_seed_gives_the_same_sae_whatever_the_row_order_and_copies(policy, pool, tmp_path):
    copies = pool.iloc[:5].assign(prompt_id=[f"{p}-2" for p in pool["prompt_id"][:5]])
    variants = {
        "one": (pool, 0),
        "shuffled": (pd.concat([pool, copies]).sample(frac=1.0, random_state=3), 0),
        "other": (pool, 1),
    }
    ids = {
        name: obtain_sae(QUICK, CPU, policy, frame, tmp_path / name, seed)[0].sae_id
        for name, (frame, seed) in variants.items()
    }
    assert ids["one"] == ids["shuffled"] != ids["other"]
    assert ids["one"] == sae_folder.weights_id(tmp_path / "one")


def test_training_leaves_the_global_random_state_alone(policy, pool, tmp_path):
    import torch

    torch.manual_seed(5)
    before = torch.get_rng_state()
    obtain_sae(QUICK, CPU, policy, pool, tmp_path / "s", 0)
    assert torch.equal(before, torch.get_rng_state())


def test_an_sae_of_another_model(policy, pool, tmp_path):
    other = save_model(tmp_path / "wide", width=48, n_layers=5, seed=5)
    ref, _ = obtain_sae(
        QUICK.model_copy(update={"model": other.path, "hook_layer": None}), CPU, policy, pool, tmp_path / "s", 0
    )
    assert (ref.model, ref.d_in, ref.hook_layer) == (other.path, 48, 2)


def test_an_sae_of_a_gguf_file_says_that_its_model_is_rounded(policy, pool, tmp_path, monkeypatch):
    monkeypatch.setenv("SAERL_HOME", str(tmp_path / "state"))
    file = write_gguf(tmp_path / "tiny.gguf")
    sae, report = obtain_sae(QUICK.model_copy(update={"model": str(file)}), CPU, policy, pool, tmp_path / "s", 0)
    assert (sae.model, sae.d_in) == (str(file), WIDTH)
    assert "'tiny.gguf', quantised as Q4_1 and dequantised" in report.notes[-1]
    features, _, _ = extract_features(pool, policy, sae, CPU, 0, controls=False)
    assert features.matrix.shape == (len(pool), sae.d_sae)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_tiny_pool_still_gives_an_sae(policy, tmp_path, n):
    ref, report = obtain_sae(QUICK, CPU, policy, make_pool(n), tmp_path / "s", 0)
    assert ref.d_sae == 64
    assert report.values["n_eval_prompts"] == 1
    assert any("one prompt" in note for note in report.notes) == (n == 1)


def test_settings_that_cannot_work_are_refused(policy, pool, tmp_path):
    out = tmp_path / "s"
    for update, message in (
        ({"k": 64}, r"sae\.k is 64, but the SAE has 64 latents"),
        ({"hook_layer": 3}, "3 blocks, 0 to 2"),
        ({"model": "/nowhere/at/all"}, "/nowhere/at/all"),
    ):
        with pytest.raises((ConfigError, DataError), match=message):
            obtain_sae(QUICK.model_copy(update=update), CPU, policy, pool, out, 0)
    empty = pd.DataFrame({"prompt_id": ["a", "b"], "prompt": ["", ""]})
    with pytest.raises(DataError, match="none of the pool's 1 prompts has a token"):
        obtain_sae(QUICK, CPU, policy, empty, out, 0)
    assert not out.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_buffer_is_bounded_and_passes_see_every_token(policy, pool, monkeypatch):
    """With a buffer smaller than the pool, the tokens of one pass are exactly the pool's tokens."""
    tokens = tokenize_prompts(pool, load_tokenizer(policy), 64)
    model = load_lower_model(policy, 0)
    n_tokens = int((tokens.lengths - 1).sum())

    def first_pass(size: int) -> np.ndarray:
        source = buffer.token_batches(model, tokens, size, 256, np.random.default_rng(0))
        return np.concatenate([next(source).numpy() for _ in range(n_tokens // size)])

    whole = first_pass(1)
    monkeypatch.setattr(buffer, "BUFFER_BYTES", 4 * 32 * 100)
    assert buffer.buffer_tokens(32) == 100
    refilled = first_pass(1)[: n_tokens // 100 * 100]  # what is left waits for the next pass to fill the buffer
    assert len(whole) == n_tokens
    count = [Counter(x.tobytes() for x in part) for part in (whole, refilled)]
    assert len(refilled) > 1000
    assert not count[1] - count[0]  # nothing is emitted more often than the pool holds it
    assert len(next(buffer.token_batches(model, tokens, 3000, 256, np.random.default_rng(0)))) == 3000


def test_health_by_hand():
    import torch

    from saerl_core.features.activations import ActivationBatch
    from saerl_core.features.encoder import LinearEncoder

    identity = LinearEncoder(torch.eye(2), torch.zeros(2), torch.eye(2), torch.zeros(2), 2, 2, k=1)
    x = torch.tensor([[3.0, 1.0], [1.0, 0.0]])  # the second column is lost once: error 1; variance 2 + .5
    batch = ActivationBatch(np.array([0]), np.array([0, 0]), x, 2, 0, np.array([0, 1]))
    values = sae_health(identity, [batch])
    assert values["l0"] == 1
    assert values["explained_variance"] == pytest.approx(1 - 1 / 2.5)
    assert values["mse"] == pytest.approx(0.25)
    assert values["dead_frac"] == 0.5
    with pytest.raises(DataError, match="0 tokens"):
        sae_health(identity, [])


def test_save_and_load(sae, tmp_path):
    sae_folder.save_sae(sae, tmp_path / "copy")
    loaded = sae_folder.load_sae(tmp_path / "copy")
    assert loaded.path == tmp_path / "copy"
    assert (loaded.sae_id, loaded.hook_name, loaded.d_sae) == (sae.sae_id, sae.hook_name, sae.d_sae)
    assert sae_folder.recorded_l0(loaded.path) == pytest.approx(read_sae_config(sae.path)["metadata"]["l0"])
    weights = tmp_path / "copy" / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="obtain the SAE again"):
        sae_folder.load_sae(tmp_path / "copy")
    with pytest.raises(DataError, match="no readable SAE"):
        sae_folder.load_sae(tmp_path)


def test_defaults_are_the_ones_that_were_measured():
    config = SaeConfig()
    assert (config.expansion, config.k, config.lr, config.train_tokens) == (8, 12, 3e-3, 400_000)
