"""A model folder that brings Python code: no loader runs it unless the configuration names `trust_remote_code`."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from saerl_core.config.run import FeaturesConfig, PolicyConfig, RunConfig, SaeConfig
from saerl_core.errors import ConfigError, SaerlError
from saerl_core.features.models import load_lower_model, read_shape, resolve_model
from saerl_core.features.sae import obtain_sae
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.prepare import prepare_policy
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.records import PolicyRef, PromptFormat
from saerl_core.rollouts.sampler import Sampler
from tests.features.conftest import make_pool, save_model
from tests.security.bombs import bomb

CODE = """
from pathlib import Path
from transformers import Qwen2Config, Qwen2ForCausalLM, PreTrainedTokenizerFast
Path({canary!r}).touch()
class OwnConfig(Qwen2Config):
    model_type = "own-code"
class OwnModel(Qwen2ForCausalLM):
    config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""
AUTO_MAP = {
    "AutoConfig": "own_code.OwnConfig",
    "AutoModel": "own_code.OwnModel",
    "AutoModelForCausalLM": "own_code.OwnModel",
    "AutoTokenizer": ["own_code.OwnTokenizer", "own_code.OwnTokenizer"],
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "model"
    save_model(folder)
    return folder


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture(params=["own-code", "qwen2"])
def model_type(request):
    """A type that only the code knows (refused), and one that the library knows too (its own class is taken)."""
    return request.param


@pytest.fixture
def folder(plain, tmp_path, canary, model_type, monkeypatch):
    import transformers.dynamic_module_utils as dynamic

    monkeypatch.setattr(dynamic, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "model"
    shutil.copytree(plain, folder)
    _edit(folder / "config.json", auto_map=AUTO_MAP, model_type=model_type)
    _edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": AUTO_MAP["AutoTokenizer"]})
    code = CODE.format(canary=str(canary))
    (folder / "own_code.py").write_text(code)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(code + "\ndef generate(model, **names):\n    pass\n")
    return folder


def _edit(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def _own_tokenizer_class(folder):
    """Name a class that only the folder's code knows, so that the automatic choice asks for it."""
    _edit(folder / "tokenizer_config.json", tokenizer_class="OwnTokenizer")


def _sae_of(folder: Path, plain: Path, out: Path) -> None:
    trusted = PolicyRef(str(plain), "plain", trust_remote_code=True)  # which says nothing about the SAE's model
    config = SaeConfig(model=str(folder), expansion=2, k=4, train_tokens=500, batch_size=64)
    obtain_sae(config, FeaturesConfig(device="cpu"), trusted, make_pool(20), out, seed=0)


def _sampled(folder: Path) -> None:
    Sampler(PolicyRef(str(folder), "x"), temperature=1.0, max_completion_tokens=2, seed=0).sample(["1+1"], 1)


LOADERS = {
    "model": lambda folder, *_: load_model(PolicyRef(str(folder), "x")),
    "tokenizer": lambda folder, *_: load_tokenizer(PolicyRef(str(folder), "x")),
    "shape": lambda folder, *_: read_shape(PolicyRef(str(folder), "x")),
    "lower model": lambda folder, *_: load_lower_model(PolicyRef(str(folder), "x"), 0),
    "sampler": lambda folder, *_: _sampled(folder),
    "policy stage": lambda folder, _, out: prepare_policy(
        PolicyConfig(source="pretrained", model=str(folder)), make_pool(4), out, 0
    ),
    "SAE's own model": _sae_of,
}


@pytest.mark.parametrize("loader", LOADERS)
def test_no_loader_runs_the_code_unasked(folder, plain, tmp_path, canary, loader, model_type):
    _own_tokenizer_class(folder)
    knows = model_type == "qwen2"
    with contextlib.nullcontext() if knows else pytest.raises(SaerlError, match=r"policy\.trust_remote_code"):
        LOADERS[loader](folder, plain, tmp_path / "out")
    assert not canary.exists()


@pytest.mark.parametrize("model_type", ["own-code"], indirect=True)
def test_the_code_runs_where_the_configuration_says_so(folder, canary, tmp_path):
    config = PolicyConfig(source="pretrained", model=str(folder), trust_remote_code=True)
    ref, _ = prepare_policy(config, make_pool(4), tmp_path / "out", 0)
    assert ref.trust_remote_code
    assert type(load_model(ref)).__name__ == "OwnModel"
    assert canary.exists()


@pytest.mark.parametrize("model_type", ["own-code"], indirect=True)
def test_the_refusal_names_the_setting(folder):
    for load in (load_model, read_shape):
        with pytest.raises(ConfigError, match=r"policy\.trust_remote_code"):
            load(PolicyRef(str(folder), "x"))


def test_nothing_is_trusted_by_default():
    assert not RunConfig().policy.trust_remote_code
    assert not PolicyRef("x", "x").trust_remote_code
    assert not resolve_model("own", PolicyRef("x", "x", trust_remote_code=True)).trust_remote_code


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_weights_that_are_a_pickle_are_refused_in_one_sentence(plain, tmp_path, canary, weights):
    folder = tmp_path / "model"
    shutil.copytree(plain, folder)
    (folder / "model.safetensors").unlink()
    for name, content in bomb(canary).items():
        (folder / weights).write_bytes(content)
        for load in (load_model, lambda ref: load_lower_model(ref, 0)):
            with pytest.raises(SaerlError) as refusal:
                load(PolicyRef(str(folder), name))
            assert "\n" not in str(refusal.value)
        assert not canary.exists(), name


def test_a_chat_template_cannot_leave_its_sandbox(plain, tmp_path, canary):
    folder = tmp_path / "model"
    shutil.copytree(plain, folder)
    escape = "{{ cycler.__init__.__globals__.os.system('touch " + str(canary) + "') }}{{ messages[0].content }}"
    (folder / "chat_template.jinja").write_text(escape)
    tokenizer = load_tokenizer(PolicyRef(str(folder), "x"))
    with pytest.raises(ConfigError, match="chat template refuses"):
        prompt_tokens(tokenizer, ["1"], PromptFormat(chat_template=True))
    assert not canary.exists()
