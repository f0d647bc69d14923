"""SAEs that are broken on disk: refused where they are loaded, in a sentence that names what is wrong."""

import json
import shutil

import pytest

from saerl_core.config.run import FeaturesConfig, SaeConfig
from saerl_core.errors import ConfigError
from saerl_core.features.encoder import open_encoder
from saerl_core.features.sae import obtain_sae
from saerl_core.features.sae_lens_import import quiet_sae_lens

CFG, WEIGHTS = "cfg.json", "sae_weights.safetensors"


@pytest.fixture
def broken(sae, tmp_path):
    """Return a function that copies the trained SAE and changes its weights and fields."""

    def make(change=None, **fields):
        from safetensors.torch import load_file, save_file

        folder = tmp_path / "broken"
        shutil.copytree(sae.path, folder)
        if change is not None:
            weights = {name: tensor.clone() for name, tensor in load_file(folder / WEIGHTS).items()}
            change(weights)
            save_file(weights, folder / WEIGHTS)
        config = {**json.loads((folder / CFG).read_text()), **fields}
        (folder / CFG).write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))
        return folder

    return make


def obtain(policy, pool, folder, out):
    return obtain_sae(SaeConfig(source="load", path=str(folder)), FeaturesConfig(device="cpu"), policy, pool, out, 0)


@pytest.mark.parametrize("name", ["W_enc", "b_enc", "W_dec", "b_dec"])
@pytest.mark.parametrize(("value", "word"), [("nan", "NaN"), ("inf", "infinite values"), ("-inf", "infinite values")])
def test_a_weight_that_is_not_finite_is_named(broken, policy, pool, tmp_path, name, value, word):
    folder = broken(lambda weights: weights[name].view(-1)[:1].fill_(float(value)))
    with pytest.raises(ConfigError, match=rf"^weight {name} holds {word} \(1 of .* in '{folder}/sae_weights"):
        obtain(policy, pool, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_infinite_threshold_is_named(broken):
    import torch

    def add(weights):
        weights["threshold"] = torch.full((len(weights["b_enc"]),), float("inf"))

    with pytest.raises(ConfigError, match="weight threshold holds infinite values"):
        open_encoder(broken(add, architecture="jumprelu"))


def test_the_weights_of_an_sae_that_sae_lens_reads_are_checked_too(policy, pool, tmp_path):
    with quiet_sae_lens() as sae_lens:
        config = {"architecture": "gated", "d_in": 32, "d_sae": 40, "metadata": {"hook_name": "model.layers.0"}}
        gated = sae_lens.SAE.from_dict(config)
        gated.W_dec.data[0, 0] = float("nan")
        gated.save_model(tmp_path / "gated")
    with pytest.raises(ConfigError, match="weight W_dec holds NaN"):
        obtain(policy, pool, tmp_path / "gated", tmp_path / "out")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": ...}, r"k is missing, but a topk SAE needs a whole number above 0"),
        ({"k": "4"}, r'k is "4"'),
        ({"k": 4.5}, r"k is 4\.5"),
        ({"k": True}, r"k is true"),
        ({"k": [4, 8]}, r"k is \[4, 8\]"),
        ({"k": 65}, r"says k 65, but the SAE .* only 64 latents"),
        ({"d_in": "wide"}, r'd_in is "wide", but must be a whole number'),
        ({"d_in": 48}, r"cfg\.json says d_in 48, but W_enc .* is 32 x 64"),
        ({"d_sae": 32}, r"cfg\.json says d_sae 32"),
        ({"architecture": ["topk"]}, r'architecture is \["topk"\], but must be a name'),
        ({"architecture": "no-such-thing"}, r"sae-lens cannot read"),
        ({"architecture": ...}, r"sae-lens cannot read"),
        ({"metadata": "none"}, r'metadata is "none", but must be an object'),
        ({"apply_b_dec_to_input": "false"}, r'apply_b_dec_to_input is "false", but must be true or false'),
        ({"rescale_acts_by_decoder_norm": 1}, r"rescale_acts_by_decoder_norm is 1"),
    ],
)
def test_an_odd_configuration_is_told_in_one_sentence(broken, policy, pool, tmp_path, fields, message):
    with pytest.raises(ConfigError, match=message) as caught:
        obtain(policy, pool, broken(**fields), tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b'{"k": ', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[]", r"holds \[\], but must hold a JSON object"),
        (b'"topk"', 'holds "topk"'),
        (b"3", "holds 3"),
    ],
)
def test_a_configuration_that_is_no_object_is_told(broken, policy, pool, tmp_path, content, message):
    folder = broken()
    (folder / CFG).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        obtain(policy, pool, folder, tmp_path / "out")


@pytest.mark.parametrize("version", ["6.0.0rc1", "v6.1", "6"])
def test_odd_version_numbers_are_read(broken, version):
    folder = broken()
    config = json.loads((folder / CFG).read_text())
    config["metadata"]["sae_lens_version"] = version
    (folder / CFG).write_text(json.dumps(config))
    assert open_encoder(folder).d_sae == 64


@pytest.mark.parametrize("name", ["b_enc", "W_dec", "b_dec"])
def test_weights_that_do_not_fit_each_other_are_named(broken, name):
    folder = broken(lambda weights: weights.update({name: weights[name][:-1].clone()}))
    with pytest.raises(ConfigError, match=rf"weight {name} in .* has shape .*, but W_enc is 32 x 64"):
        open_encoder(folder)


@pytest.mark.parametrize("size", [0, 5, 900])
def test_weights_that_were_cut_are_told(broken, policy, pool, tmp_path, size):
    folder = broken()
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:size])
    with pytest.raises(ConfigError, match=rf"'{folder}/sae_weights\.safetensors' cannot be read"):
        obtain(policy, pool, folder, tmp_path / "out")


def test_a_latent_that_is_switched_off_does_not_spoil_the_others(broken):
    """Rescaling by the decoder's norm divides by it: a row of zeros must give zeros, not NaN."""
    import torch

    folder = broken(lambda weights: weights["W_dec"][3].zero_(), rescale_acts_by_decoder_norm=True)
    encoder = open_encoder(folder)
    z = encoder.encode(torch.ones(2, 32))
    assert bool(encoder.decode(z).isfinite().all())
