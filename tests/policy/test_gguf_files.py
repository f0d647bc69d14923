"""GGUF files: converted once, known as quantised afterwards, refused in one sentence where they cannot be read."""

import numpy as np
import pytest

from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.policy import gguf_files
from saerl_core.policy.gguf_files import convert, find_gguf, local_folder, origin_of, quantisation_of
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.storage import policy_id_of
from saerl_core.records import PolicyRef
from tests.policy.tiny_gguf import BOS, EOS, PAD, TEMPLATE, write_gguf


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("SAERL_HOME", str(tmp_path / "state"))


def test_the_converted_folder_holds_the_files_own_weights_and_special_tokens(tmp_path):
    from gguf import GGUFReader
    from gguf.quants import dequantize

    file = write_gguf(tmp_path / "tiny.gguf")
    convert(file, tmp_path / "out")
    ref = PolicyRef(str(tmp_path / "out"), "x")
    model, tokenizer = load_model(ref), load_tokenizer(ref)
    stored = next(t for t in GGUFReader(file).tensors if t.name == "blk.0.ffn_up.weight")
    np.testing.assert_array_equal(
        model.model.layers[0].mlp.up_proj.weight.detach().numpy(), dequantize(stored.data, stored.tensor_type)
    )
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (BOS, EOS, PAD)
    assert tokenizer.chat_template == TEMPLATE
    text = "he 's here , at 12 ."
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_a_quantised_file_is_named_and_a_full_one_is_not(tmp_path):
    rounded = convert(write_gguf(tmp_path / "r.gguf"), tmp_path / "r")
    full = convert(write_gguf(tmp_path / "f.gguf", kind="F32"), tmp_path / "f")
    assert "'r.gguf', quantised as Q4_1" in rounded.note
    assert full.quantisation == "F32"
    assert full.note is None
    assert origin_of(tmp_path / "r") == rounded
    assert quantisation_of(str(tmp_path / "r")) == quantisation_of(str(tmp_path / "r.gguf")) == "Q4_1"
    assert quantisation_of("org/name") is None
    assert origin_of(tmp_path) is None


def test_a_name_means_a_file_or_the_one_in_a_folder_and_is_converted_once(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    file = write_gguf(tmp_path / "models" / "tiny.gguf")
    folder = local_folder(str(file))
    assert folder.startswith(str(tmp_path / "state" / "models" / "tiny-"))
    assert len(policy_id_of(folder)) == 64
    monkeypatch.setattr(gguf_files, "convert", lambda *_: pytest.fail("converted again"))
    assert local_folder(str(file.parent)) == folder
    assert local_folder("org/name") == "org/name"
    assert find_gguf(folder) is None


def test_two_files_in_a_folder_are_a_question(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"holds 2 GGUF files \(a.gguf, b.gguf .*name one of them"):
        find_gguf(tmp_path)


def test_what_cannot_be_read_is_said_in_one_sentence_and_leaves_nothing(tmp_path):
    file = tmp_path / "x.gguf"
    with pytest.raises(DataError, match=r"there is no file '.*x.gguf'"):
        local_folder(str(file))
    for content in (b"", b"no model at all, but some text", b"GGUF\x03\x00\x00\x00" + b"\xff" * 40):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"x.gguf' cannot be read by transformers"):
            convert(file, tmp_path / "out")
    write_gguf(file, architecture="rwkv9")
    with pytest.raises(DataError, match="architecture rwkv9 is not supported"):
        convert(file, tmp_path / "out")
    whole = write_gguf(file).read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        convert(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_quantisation_is_refused(tmp_path, monkeypatch):
    import gguf

    file = tmp_path / "x.gguf"
    write_gguf(file)
    monkeypatch.delitem(gguf.quants._type_traits, gguf.GGMLQuantizationType.Q4_1)
    with pytest.raises(DataError, match=r"x.gguf' cannot be read by transformers \(Dequantization for Q4_1"):
        convert(file, tmp_path / "out")


def test_a_full_disk_is_seen_before_the_work(tmp_path, monkeypatch):
    file = write_gguf(tmp_path / "x.gguf")
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr(gguf_files.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(gguf_files, "_save", lambda *_: pytest.fail("started"))
    with pytest.raises(BackendError, match=r"needs \d+ MB, but the disk has 1 MB left; free some space"):
        convert(file, tmp_path / "out")
