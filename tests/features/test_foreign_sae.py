import json
import shutil
from pathlib import Path

import pytest

from saerl_core.config.run import FeaturesConfig, SaeConfig
from saerl_core.errors import ConfigError
from saerl_core.features.sae import obtain_sae
from saerl_core.features.sae_lens_import import quiet_sae_lens
from tests.features.conftest import make_pool, save_model

CPU = FeaturesConfig(device="cpu")


def obtain(policy, pool, out, path, **settings):
    return obtain_sae(SaeConfig(source="load", path=str(path), **settings), CPU, policy, pool, out, 0)


def copy_with(sae, folder: Path, **metadata) -> Path:
    shutil.copytree(sae.path, folder)
    config = json.loads((folder / "cfg.json").read_text())
    config["metadata"] = {k: v for k, v in {**config["metadata"], **metadata}.items() if v is not None}
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def test_a_local_folder_is_loaded_and_measured(trained, policy, pool, tmp_path):
    sae, made = trained
    ref, report = obtain(policy, pool, tmp_path / "out", sae.path)
    assert (ref.sae_id, ref.hook_layer, ref.path) == (sae.sae_id, 1, tmp_path / "out")
    assert report.values["explained_variance"] == pytest.approx(made.values["explained_variance"], abs=1e-5)
    assert report.loss_curve == ()


def test_an_sae_of_another_architecture_is_loaded_through_sae_lens(policy, pool, tmp_path):
    with quiet_sae_lens() as sae_lens:
        config = {"architecture": "gated", "d_in": 32, "d_sae": 40, "metadata": {"hook_name": "model.layers.0"}}
        sae_lens.SAE.from_dict(config).save_model(tmp_path / "gated")
    ref, report = obtain(policy, pool, tmp_path / "out", tmp_path / "gated")
    assert (ref.architecture, ref.hook_layer, ref.d_sae) == ("gated", 0, 40)
    assert report.values["l0"] > 0
    from saerl_core.features.extract import extract_features

    features, controls, _ = extract_features(pool, policy, ref, CPU, 0, controls=True)
    assert features.matrix.shape == controls.random_sae.shape == (len(pool), 40)


@pytest.mark.parametrize(
    ("metadata", "layer"),
    [
        ({"hook_name": "model.layers.2"}, 2),
        ({"hook_name": "blocks.2.hook_resid_pre"}, 1),
        ({"hook_name": None, "hf_hook_name": "model.layers.0"}, 0),
    ],
)
def test_other_spellings_of_the_hook(sae, policy, pool, tmp_path, metadata, layer):
    folder = copy_with(sae, tmp_path / "in", **metadata)
    assert obtain(policy, pool, tmp_path / "out", folder)[0].hook_layer == layer


@pytest.mark.parametrize(
    ("metadata", "settings", "message"),
    [
        ({"hook_name": "blocks.7.hook_resid_post"}, {}, "hook layer is 7.*3 blocks"),
        ({"hook_name": "blocks.1.hook_mlp_out"}, {}, "residual stream after a block"),
        ({}, {"hook_layer": 2}, "hook_layer is 2, but .* block 1"),
        ({"hook_name": None, "hf_hook_name": None}, {}, "set sae.hook_layer"),
    ],
)
def test_hooks_that_cannot_be_read_are_refused(sae, policy, pool, tmp_path, metadata, settings, message):
    folder = copy_with(sae, tmp_path / "in", **metadata)
    with pytest.raises(ConfigError, match=message):
        obtain(policy, pool, tmp_path / "out", folder, **settings)
    assert not (tmp_path / "out").exists()


def test_an_sae_of_another_width_is_refused_in_one_sentence(sae, tmp_path, pool):
    wide = save_model(tmp_path / "wide", width=48)
    with pytest.raises(
        ConfigError, match=r"its own model is 'with_bos'.*32 numbers.*put out 48; set sae\.model"
    ) as caught:
        obtain(wide, pool, tmp_path / "out", sae.path)
    assert "\n" not in str(caught.value)


def test_what_the_sae_was_trained_with_is_noted(sae, policy_without_bos, pool, tmp_path):
    folder = copy_with(sae, tmp_path / "in")
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**config, "normalize_activations": "expected_average_only_in"}))
    notes = " ".join(obtain(policy_without_bos, pool, tmp_path / "out", folder)[1].notes)
    assert "scaled activations" in notes
    assert "trained with a BOS token" in notes
    assert "trained on 'with_bos'" in notes


def test_paths_that_lead_nowhere_say_what_to_do(policy, tmp_path):
    pool = make_pool(3)
    for settings, message in (
        ({"path": str(tmp_path / "no")}, "there is no such folder"),
        ({"path": "some-release"}, "needs sae.sae_id"),
        ({"path": None}, r"sae\.path is empty"),
        ({"path": "no-such-release", "sae_id": "x"}, "knows no SAE 'x'.*Correct sae.path"),
    ):
        with pytest.raises(ConfigError, match=message):
            obtain_sae(SaeConfig(source="load", **settings), CPU, policy, pool, tmp_path / "out", 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no cfg\.json"):
        obtain(policy, pool, tmp_path / "out", tmp_path / "empty")


@pytest.fixture
def registry(monkeypatch):
    """sae-lens' registry with one release of ours; nothing else of its loading path is replaced."""
    from saerl_core.features.sae_lens_import import quiet_sae_lens

    with quiet_sae_lens():
        from sae_lens.loading import pretrained_sae_loaders, pretrained_saes_directory
        from sae_lens.saes import sae as sae_module

    lookup = pretrained_saes_directory.PretrainedSAELookup(
        "tiny-release", "someone/tiny", "with_bos", None, {"layer_1": "layer_1"}, {}, {}, {}, {}, None
    )
    for module in (pretrained_saes_directory, pretrained_sae_loaders, sae_module):
        monkeypatch.setattr(module, "get_pretrained_saes_directory", lambda: {"tiny-release": lookup}, raising=False)
    return pretrained_sae_loaders


def test_a_public_release_goes_through_sae_lens(registry, monkeypatch, sae, policy, pool, tmp_path):
    from huggingface_hub.errors import EntryNotFoundError

    def download(repo_id, filename, force_download=False, **_):
        assert repo_id == "someone/tiny"
        file = Path(sae.path) / Path(filename).name
        if not file.exists():
            raise EntryNotFoundError(filename)
        return str(file)

    monkeypatch.setattr(registry, "hf_hub_download", download)
    ref, report = obtain(policy, pool, tmp_path / "out", "tiny-release", sae_id="layer_1")
    assert (ref.hook_layer, ref.d_sae, ref.architecture) == (1, 64, "topk")
    assert report.values["explained_variance"] > 0.4
    with pytest.raises(ConfigError, match="knows no SAE 'layer_9' in release 'tiny-release'"):
        obtain(policy, pool, tmp_path / "out", "tiny-release", sae_id="layer_9")


def test_a_release_that_is_not_cached_says_so_offline(registry, policy, pool, tmp_path):
    with pytest.raises(ConfigError, match=r"not in the local cache and cannot be downloaded .*HF_HUB_OFFLINE=0"):
        obtain(policy, pool, tmp_path / "out", "tiny-release", sae_id="layer_1")
