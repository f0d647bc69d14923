"""Models that a configuration names: a GGUF file as the policy, and what is refused before anything starts."""

from pathlib import Path

import gguf
import pandas as pd
import pytest
from click.testing import CliRunner

from pipelines.__main__ import main
from saerl_core.config.run import PolicyConfig
from saerl_core.errors import ConfigError
from saerl_core.policy.prepare import prepare_policy
from tests.policy.tiny_gguf import write_gguf

ROOT = Path(__file__).resolve().parents[2]
EVERYDAY = str(ROOT / "configs" / "smollm_everyday.yaml")


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("SAERL_HOME", str(tmp_path / "state"))


def _validate(*settings):
    given = [part for setting in settings for part in ("--set", setting)]
    done = CliRunner().invoke(main, ["validate", "-c", EVERYDAY, *given])
    return done.exit_code, done.output


def _take(path, **more):
    config = PolicyConfig(source="pretrained", model=str(path), **more)
    return prepare_policy(config, pd.DataFrame(), path.parent / "out", 0)


def test_a_gguf_file_is_a_policy_and_its_report_says_that_it_is_rounded(tmp_path):
    ref, report = _take(write_gguf(tmp_path / "tiny.gguf"), chat_template=True)
    assert Path(ref.path).parent == tmp_path / "state" / "models"
    assert "'tiny.gguf', quantised as Q4_1 and dequantised" in report.notes[1]
    again, noted = _take(Path(ref.path))  # the converted folder is still known
    assert again.policy_id == ref.policy_id
    assert noted.notes[1] == report.notes[1]
    assert len(_take(write_gguf(tmp_path / "full.gguf", kind="F32"))[1].notes) == 1


def test_a_tokenizer_without_a_template_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="the policy's tokenizer has no chat template; set it to false"):
        _take(write_gguf(tmp_path / "tiny.gguf", template=None), chat_template=True)


def test_the_example_is_refused_until_its_model_is_fetched(tmp_path):
    missing = tmp_path / "models" / "smollm2-135m"
    code, said = _validate(f"policy.model={missing}")
    assert code == 1
    assert f"policy.model: there is no model in '{missing}' yet; run `make smollm`" in said
    code, said = _validate(f"policy.model={tmp_path}", f"sae.model={missing}")
    assert (code, "sae.model: there is no model" in said) == (1, True)
    missing.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (missing / name).touch()
    assert _validate(f"policy.model={missing}")[0] == 0


def test_rounded_weights_are_trained_only_where_it_is_asked_for(tmp_path):
    rounded = f"policy.model={write_gguf(tmp_path / 'tiny.gguf')}"
    code, said = _validate(rounded, "policy.train_dequantised=false")
    assert code == 1
    assert "quantised as Q4_1, and training.enabled is true" in said
    assert "set policy.train_dequantised to true" in said
    assert _validate(rounded)[0] == 0
    assert _validate(rounded, "policy.train_dequantised=false", "training.enabled=false")[0] == 0
    full = f"policy.model={write_gguf(tmp_path / 'full.gguf', kind='F32')}"
    assert _validate(full, "policy.train_dequantised=false")[0] == 0
    (tmp_path / "bad.gguf").write_bytes(b"x" * 100)
    code, said = _validate(f"policy.model={tmp_path / 'bad.gguf'}", "policy.train_dequantised=false")
    assert (code, "bad.gguf' cannot be read" in said) == (1, True)


@pytest.mark.parametrize("setting", ["policy.model", "sae.model"])
def test_a_gguf_file_that_nothing_reads_is_refused_before_anything_starts(tmp_path, monkeypatch, setting):
    known = f"policy.model={write_gguf(tmp_path / 'known.gguf')}"
    given = [known, f"{setting}={write_gguf(tmp_path / 'x.gguf', architecture='mamba9')}"]
    code, said = _validate(*given)
    assert code == 1
    assert "x.gguf' cannot be read by transformers (GGUF model with architecture mamba9 is not supported yet)" in said
    assert len(said.strip().splitlines()) == 1
    write_gguf(tmp_path / "x.gguf", kind="Q8_0")
    monkeypatch.delitem(gguf.quants._type_traits, gguf.GGMLQuantizationType.Q8_0)
    code, said = _validate(*given)
    assert (code, "x.gguf' cannot be read by transformers (Dequantization for Q8_0 is not yet" in said) == (1, True)
    assert not (tmp_path / "state" / "models").exists(), "nothing was converted"


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "empty.gguf", "mamba9")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    code, said = _validate(f"policy.model={tmp_path / 'empty.gguf'}")
    assert (code, "empty.gguf' is no model: it holds no weights; give a complete GGUF file" in said) == (1, True)
