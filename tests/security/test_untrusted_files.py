"""Files from elsewhere: a model folder with code of its own, pickles under the names of arrays and weights."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from saerl_core.config import PolicyConfig, SaeConfig
from saerl_core.errors import SaerlError
from saerl_core.records import PolicyRef
from saerl_core.tables import PROMPTS
from tests.features.conftest import save_model
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS
CODE = """
from pathlib import Path
Path({canary!r}).touch()
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, Qwen2Model
class Config(Qwen2Config):
    model_type = "strange"
class Inner(Qwen2Model):
    config_class = Config
class Model(Qwen2ForCausalLM):
    config_class = Config
class Words(PreTrainedTokenizerFast):
    pass
"""


class Payload:
    """Unpickling it creates a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


@pytest.fixture
def canary(tmp_path) -> Path:
    return tmp_path / "canary"


@pytest.fixture(scope="module")
def plain_model(tmp_path_factory) -> Path:
    return Path(save_model(tmp_path_factory.mktemp("plain") / "model").path)


@pytest.fixture
def strange(plain_model, tmp_path, canary, monkeypatch) -> Path:
    """A model folder that works, and whose every part is code of its own."""
    from transformers.utils import hub  # noqa: F401  (reads the cache's place once)

    folder = tmp_path / "strange"
    shutil.copytree(plain_model, folder)
    (folder / "own.py").write_text(CODE.format(canary=str(canary)))
    config = json.loads((folder / "config.json").read_text())
    parts = {"AutoConfig": "own.Config", "AutoModel": "own.Inner", "AutoModelForCausalLM": "own.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "strange", "auto_map": parts}))
    words = json.loads((folder / "tokenizer_config.json").read_text())
    words |= {"tokenizer_class": "Words", "auto_map": {"AutoTokenizer": [None, "own.Words"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(words))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    return folder


def _take(folder, trusted):
    from saerl_core.policy.prepare import prepare_policy

    config = PolicyConfig(source="pretrained", model=str(folder), trust_remote_code=trusted)
    prepare_policy(config, PROMPTS.empty(), folder.parent / "out", 0)


def _ref(folder, trusted):
    return PolicyRef(str(folder), "strange", trust_remote_code=trusted)


def _load_model(folder, trusted):
    from saerl_core.policy.loading import load_model

    load_model(_ref(folder, trusted))


def _load_tokenizer(folder, trusted):
    from saerl_core.policy.loading import load_tokenizer

    load_tokenizer(_ref(folder, trusted))


def _load_lower(folder, trusted):
    from saerl_core.features.models import load_lower_model

    load_lower_model(_ref(folder, trusted), 0)


LOADERS = [_take, _load_model, _load_tokenizer, _load_lower]


@pytest.mark.parametrize("load", LOADERS)
def test_a_models_own_code_does_not_run_unless_the_configuration_says_so(strange, canary, load):
    with pytest.raises(SaerlError, match="trust_remote_code"):
        load(strange, False)
    assert not canary.exists()


@pytest.mark.parametrize("load", LOADERS)
def test_it_runs_where_the_configuration_says_so(strange, canary, load):
    load(strange, True)
    assert canary.exists()


def test_nothing_is_trusted_by_default(strange):
    from saerl_core.features.models import resolve_model

    assert not PolicyConfig().trust_remote_code
    assert not PolicyRef("folder", "id").trust_remote_code
    trusted = _ref(strange, True)
    assert not resolve_model(str(strange), trusted).trust_remote_code, "the policy's word is not for the SAE's model"
    assert "trust_remote_code" not in SaeConfig.model_fields


def test_the_payload_would_work(canary):
    pickle.loads(pickle.dumps(Payload(canary)))
    assert canary.exists()


@pytest.mark.parametrize("load", [_load_model, _load_lower])
def test_weights_that_are_a_pickle_are_refused_in_one_sentence(plain_model, tmp_path, canary, load):
    import torch

    folder = tmp_path / "model"
    shutil.copytree(plain_model, folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Payload(canary)}, folder / "pytorch_model.bin")
    with pytest.raises(SaerlError) as refusal:
        load(folder, True)
    assert not canary.exists()
    assert "\n" not in str(refusal.value)


def _pickled(file: Path, canary: Path) -> None:
    array = np.empty(1, dtype=object)
    array[0] = Payload(canary)
    np.save(file, array, allow_pickle=True)


def _features(folder):
    from saerl_core.features.storage import load_features

    (folder / "meta.json").write_text("{}")
    load_features(folder)


def _raw(name):
    def load(folder):
        from saerl_core.features.storage import _array

        _array(folder, name)

    return load


def _vectors(folder):
    from materializers import PromptVectorsMaterializer
    from saerl_core.records import PromptVectors

    (folder / "prompt_ids.json").write_text('["a"]')
    PromptVectorsMaterializer(uri=str(folder), artifact_store=None).load(PromptVectors)


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("data.npy", _raw("data.npy")),
        ("dense.npy", _raw("dense.npy")),
        ("data.npy", _features),
        ("vectors.npy", _vectors),
    ],
)
def test_an_array_in_the_store_that_is_a_pickle_is_refused(tmp_path, canary, name, load):
    folder = tmp_path / "artifact"
    folder.mkdir()
    _pickled(folder / name, canary)
    with pytest.raises((SaerlError, ValueError)):
        load(folder)
    assert not canary.exists()


def test_an_sae_whose_weights_are_a_pickle_is_refused(tmp_path, canary):
    from saerl_core.features.encoder import CFG_NAME, WEIGHTS_NAME, open_encoder

    config = {"architecture": "topk", "k": 1, "metadata": {"sae_lens_version": "6.0"}}
    (tmp_path / CFG_NAME).write_text(json.dumps(config))
    (tmp_path / WEIGHTS_NAME).write_bytes(pickle.dumps(Payload(canary)))
    with pytest.raises(SaerlError, match="cannot be read"):
        open_encoder(tmp_path)
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["math", "exact"])
def test_an_answer_is_never_evaluated(canary, kind):
    from saerl_core.config import GradingConfig
    from saerl_core.rollouts.grading import Grader

    call = f"__import__('os').mkdir('{canary}')"
    spellings = [
        call,
        f"${call}$",
        f"\\boxed{{{call}}}",
        f"The answer is {call}",
        f"$(mkdir {canary})",
        f"`mkdir {canary}`",
    ]
    with Grader(GradingConfig(kind=kind)) as grader:
        for text in spellings:
            grader.grade([text, "7"], ["7", text])
    assert not canary.exists()
