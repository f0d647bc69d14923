import json
import shutil
from pathlib import Path

import pytest

from saerl_core.errors import ConfigError, SaerlError
from saerl_core.features.models import ModelShape, load_lower_model, read_shape, resolve_device, resolve_layer
from saerl_core.records import PolicyRef
from tests.features.conftest import full_hidden


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_lower_model_puts_out_what_a_hook_on_the_whole_model_sees(policy, layer):
    import torch

    ids = [1, 4, 9, 20, 7, 7]
    lower = load_lower_model(policy, layer)
    with torch.inference_mode():
        hidden = lower.module(torch.tensor([ids])).last_hidden_state[0]
    assert torch.equal(hidden, full_hidden(policy, ids, layer))


def test_upper_blocks_are_not_loaded(policy):
    names = {
        n.split(".")[1] for n, _ in load_lower_model(policy, 0).module.named_parameters() if n.startswith("layers")
    }
    assert names == {"0"}


def test_the_default_layer_is_the_middle_block(policy):
    assert read_shape(policy) == ModelShape(n_layers=3, d_in=32, context_tokens=128)
    assert [resolve_layer(None, ModelShape(n, 8), "m") for n in (1, 2, 3, 4, 28)] == [0, 1, 1, 2, 14]


def test_a_layer_that_does_not_exist_is_refused(policy):
    with pytest.raises(ConfigError, match=r"hook layer is 3.*3 blocks, 0 to 2.*sae\.hook_layer"):
        load_lower_model(policy, 3)


def test_a_missing_model_is_named():
    with pytest.raises(SaerlError, match="/nowhere/model"):
        read_shape(PolicyRef("/nowhere/model", "x"))


def test_a_checkpoint_with_missing_weights_is_refused(policy, tmp_path):
    """The library would fill the missing blocks with random numbers."""
    broken = tmp_path / "broken"
    shutil.copytree(policy.path, broken)
    config = json.loads((broken / "config.json").read_text())
    config["num_hidden_layers"] = 5
    config["layer_types"] = ["full_attention"] * 5
    (broken / "config.json").write_text(json.dumps(config))
    assert load_lower_model(PolicyRef(str(broken), "x"), 2).d_in == 32
    with pytest.raises(ConfigError, match=r"lack 12 tensors.*layers\.3"):
        load_lower_model(PolicyRef(str(broken), "x"), 3)


def test_loading_changes_no_logging_setting(policy):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_lower_model(policy, 0)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert Path(policy.path).is_dir()


def test_cuda_is_refused_where_there_is_none():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert resolve_device("auto") == "cpu"
    with pytest.raises(ConfigError, match="no CUDA device"):
        resolve_device("cuda")
