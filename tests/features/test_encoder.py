import json

import numpy as np
import pytest

from saerl_core.errors import ConfigError
from saerl_core.features.encoder import (
    LensEncoder,
    LinearEncoder,
    encode_codes,
    open_encoder,
    random_encoder,
    reads_itself,
)
from saerl_core.features.sae_lens_import import quiet_sae_lens

D_IN, D_SAE = 16, 48


def lens_sae(architecture: str, **settings):
    """An SAE of sae-lens with random weights in every parameter."""
    import torch

    with quiet_sae_lens() as sae_lens, torch.random.fork_rng():
        torch.manual_seed(0)
        sae = sae_lens.SAE.from_dict({"architecture": architecture, "d_in": D_IN, "d_sae": D_SAE, **settings})
        for parameter in sae.parameters():
            parameter.data = torch.randn_like(parameter) * 0.5
    return sae


CASES = {
    "topk": {"k": 5},
    "topk folded": {"k": 5, "rescale_acts_by_decoder_norm": True},
    "topk uncentred": {"k": 5, "apply_b_dec_to_input": False},
    "standard": {},
    "jumprelu": {},
    "topk layer norm": {"k": 5, "normalize_activations": "layer_norm"},
    "gated": {},
}


@pytest.mark.parametrize("case", CASES)
def test_codes_and_reconstruction_equal_those_of_sae_lens(case, tmp_path):
    import torch

    sae = lens_sae(case.split()[0], **CASES[case])
    sae.save_model(tmp_path)
    encoder = open_encoder(tmp_path)
    assert isinstance(encoder, LensEncoder if case in ("topk layer norm", "gated") else LinearEncoder)
    x = torch.randn(200, D_IN, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        theirs = sae.encode(x)
        again = sae.decode(theirs)
        ours = encoder.encode(x)
        np.testing.assert_allclose(encoder.decode(ours), again, atol=1e-4)
    # Ties between the k-th and the next latent may fall either way: values are compared, never the support.
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    codes = encode_codes(encoder, x)
    dense = np.zeros((200, D_SAE), dtype=np.float32)
    dense[codes.token, codes.latent] = codes.value
    np.testing.assert_array_equal(dense, ours)
    assert (codes.value > 0).all()
    assert (np.diff(codes.token) >= 0).all()


def test_topk_by_hand():
    import torch

    encoder = LinearEncoder(
        torch.eye(3), torch.tensor([0.0, 0.0, 1.0]), torch.eye(3), torch.tensor([1.0, 0.0, 0.0]), 3, 3, k=2
    )
    z = encoder.encode(torch.tensor([[4.0, 1.0, 1.5], [0.0, -5.0, -2.0]]))
    assert z.tolist() == [[3.0, 0.0, 2.5], [0.0, 0.0, 0.0]]
    assert encoder.decode(z)[0].tolist() == [4.0, 0.0, 2.5]


def test_encoding_in_pieces_changes_nothing(monkeypatch):
    import torch

    encoder = random_encoder(LinearEncoder(*[torch.zeros(0)] * 4, d_in=4, d_sae=9), None, 3, 0, "cpu")
    x = torch.randn(50, 4)
    whole = encode_codes(encoder, x)
    monkeypatch.setattr("saerl_core.features.encoder._CHUNK_FLOATS", 9 * 7)
    pieces = encode_codes(encoder, x)
    np.testing.assert_array_equal(whole.token, pieces.token)
    np.testing.assert_array_equal(whole.latent, pieces.latent)
    assert len(encode_codes(encoder, x[:0]).value) == 0


def test_the_random_control_is_tied_normed_and_named_by_its_seed():
    import torch

    like = LinearEncoder(*[torch.zeros(0)] * 4, d_in=4, d_sae=9)
    one, same, other = (random_encoder(like, torch.ones(4), 3, seed, "cpu") for seed in (0, 0, 1))
    assert torch.equal(one.w_dec, same.w_dec)
    assert not torch.equal(one.w_dec, other.w_dec)
    assert torch.equal(one.w_enc, one.w_dec.T)
    np.testing.assert_allclose(one.w_dec.norm(dim=1), 1.0, atol=1e-6)
    assert torch.equal(one.b_dec, torch.ones(4))


def test_configs_of_older_sae_lens_are_left_to_it():
    new = {"architecture": "topk", "metadata": {"sae_lens_version": "6.1.0"}}
    assert reads_itself(new)
    assert not reads_itself({**new, "metadata": {"sae_lens_version": "5.9"}})
    assert not reads_itself({"architecture": "standard"})
    assert not reads_itself({**new, "reshape_activations": "hook_z"})


def test_damaged_folders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no cfg\.json and no sae_weights"):
        open_encoder(tmp_path)
    (tmp_path / "cfg.json").write_text("{")
    (tmp_path / "sae_weights.safetensors").write_bytes(b"short")
    with pytest.raises(ConfigError, match="is not JSON"):
        open_encoder(tmp_path)
    config = {"architecture": "topk", "k": 2, "metadata": {"sae_lens_version": "6.1.0"}}
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="cannot be read"):
        open_encoder(tmp_path)
    import torch
    from safetensors.torch import save_file

    save_file({"W_enc": torch.zeros(2, 4)}, tmp_path / "sae_weights.safetensors")
    with pytest.raises(ConfigError, match="lacks"):
        open_encoder(tmp_path)
