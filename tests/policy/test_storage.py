"""Folders of policies: named by content, complete or absent, and errors that say what is wrong."""

import json
import os
import shutil
from pathlib import Path

import pytest

from saerl_core.config.run import PolicyConfig
from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.policy import storage
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.model import build_model
from saerl_core.policy.prepare import policy_id_of, prepare_policy
from saerl_core.policy.storage import save_policy
from saerl_core.records import PolicyRef
from saerl_core.tables import PROMPTS
from saerl_core.world.tokenizer import build_tokenizer

pytest.importorskip("transformers")

TINY = PolicyConfig(hidden_size=16, n_layers=1, n_heads=2, intermediate_size=32, pretrain_steps=1, sloppy_steps=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = build_tokenizer()
    return Path(save_policy(build_model(TINY, tokenizer, 64, 0), tokenizer, tmp_path / "policy").path)


def test_the_id_knows_weights_and_config_only(folder: Path, tmp_path: Path):
    before = policy_id_of(folder)
    assert len(before) == 64
    (folder / "notes.txt").write_text("a file beside")
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert policy_id_of(copy) == before
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert policy_id_of(copy) != before
    config = json.loads((folder / "config.json").read_text()) | {"rms_norm_eps": 1e-5}
    (folder / "config.json").write_text(json.dumps(config))
    assert policy_id_of(folder) != before


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors", None])
def test_a_folder_without_a_policy_has_no_id(folder: Path, lost: str | None):
    if lost is None:
        shutil.rmtree(folder)
    else:
        (folder / lost).unlink()
    with pytest.raises(DataError, match="is no policy"):
        policy_id_of(folder)


def test_saving_again_replaces_the_folder(folder: Path):
    (folder / "stale.bin").write_text("old")
    save_policy(build_model(TINY, build_tokenizer(), 64, 1), build_tokenizer(), folder)
    assert not (folder / "stale.bin").exists()
    assert [p.name for p in folder.parent.iterdir()] == ["policy"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tokenizer = build_tokenizer()
    model = build_model(TINY, tokenizer, 64, 0)

    def full(path: str, **_: object) -> None:
        (Path(path) / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_pretrained", full)
    with pytest.raises(BackendError, match=r"No space left on device.*free some space"):
        save_policy(model, tokenizer, tmp_path / "policy")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_policy_that_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch):
    before = policy_id_of(folder)
    tokenizer = build_tokenizer()

    def full(path: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokenizer, "save_pretrained", full)
    with pytest.raises(BackendError):
        save_policy(build_model(TINY, tokenizer, 64, 1), tokenizer, folder)
    assert policy_id_of(folder) == before


def test_a_place_that_cannot_be_written_is_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr("saerl_core.policy.task_world.pretrain", lambda *_: pytest.fail("training began"))
    with pytest.raises(BackendError, match="could not be written"):
        prepare_policy(TINY, PROMPTS.empty(), tmp_path / "file" / "policy", 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place_is_refused(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(BackendError, match="could not be written"):
        storage.check_writable(tmp_path / "policy")


def local(folder: Path) -> PolicyRef:
    return PolicyRef(str(folder), "id")


def test_a_missing_folder_is_explained(tmp_path: Path):
    for load in (load_model, load_tokenizer):
        with pytest.raises(DataError, match=r"holds no config.json"):
            load(local(tmp_path / "nowhere"))


def test_broken_weights_are_explained(folder: Path):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be loaded"):
        load_model(local(folder))


def test_weights_that_lack_a_tensor_are_refused(folder: Path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.0.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"lack 1 tensors.*up_proj"):
        load_model(local(folder))


def test_a_broken_config_is_explained(folder: Path):
    (folder / "config.json").write_text("{")
    with pytest.raises(DataError, match="cannot be loaded"):
        load_model(local(folder))


@pytest.mark.parametrize("text", ["rev ab=", "ann has 7 gets 1=", "  a  b ", "count a in abca="])
def test_the_tokenizer_loads_as_it_was_saved(folder: Path, text: str):
    loaded, built = load_tokenizer(local(folder)), build_tokenizer()
    assert loaded([text])["input_ids"] == built([text])["input_ids"]
    assert loaded.decode(loaded(text)["input_ids"], skip_special_tokens=True) == text
    assert (loaded.padding_side, loaded.pad_token, loaded.eos_token) == ("left", built.pad_token, built.eos_token)


def test_a_tokenizer_without_padding_pads_with_the_end(folder: Path):
    tokenizer = build_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    loaded = load_tokenizer(local(folder))
    assert loaded.pad_token == loaded.eos_token


def pretrained(model: str | None) -> PolicyConfig:
    return PolicyConfig(source="pretrained", model=model)


def test_an_existing_folder_is_taken_as_it_is(folder: Path, tmp_path: Path):
    ref, report = prepare_policy(pretrained(str(folder)), PROMPTS.empty(), tmp_path / "out", 0)
    assert ref == PolicyRef(str(folder), policy_id_of(folder))
    assert str(folder) in report.notes[0]
    assert not (tmp_path / "out").exists()


def test_no_model_named_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"policy.model is not set"):
        prepare_policy(pretrained(None), PROMPTS.empty(), tmp_path, 0)


def test_a_folder_that_is_not_there_is_no_hub_name(tmp_path: Path):
    with pytest.raises(DataError, match="is no policy"):
        prepare_policy(pretrained(str(tmp_path / "nowhere")), PROMPTS.empty(), tmp_path, 0)


def test_a_hub_name_offline_tells_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"saerl-tests/no-such-model.*unset HF_HUB_OFFLINE"):
        prepare_policy(pretrained("saerl-tests/no-such-model"), PROMPTS.empty(), tmp_path, 0)


def test_own_code_runs_only_when_it_is_trusted(folder: Path, tmp_path: Path):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "strange.C", "AutoModelForCausalLM": "strange.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "strange.py").write_text("raise SystemExit('this code must not run')")
    with pytest.raises(ConfigError, match="trust_remote_code"):
        load_model(local(folder))
