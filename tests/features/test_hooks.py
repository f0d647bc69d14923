import pytest

from saerl_core.errors import ConfigError
from saerl_core.features.hooks import hook_layer_from, hook_layer_of


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("blocks.3.hook_resid_post", 3),
        ("blocks.3.hook_resid_pre", 2),
        ("model.layers.12", 12),
        ("transformer.h.0", 0),
        ("gpt_neox.layers.5", 5),
        ("layers.7", 7),
        ("model.language_model.layers.7", 7),
    ],
)
def test_spellings_of_the_residual_stream(name, layer):
    assert hook_layer_of(name) == layer


@pytest.mark.parametrize(
    "name",
    [
        "blocks.3.attn.hook_z",
        "blocks.3.hook_mlp_out",
        "hook_embed",
        "blocks.0.hook_resid_pre",
        "model.layers.3.mlp",
        "",
    ],
)
def test_other_hooks_are_refused_with_the_reason(name):
    with pytest.raises(ConfigError, match="residual stream"):
        hook_layer_of(name)


def test_where_a_config_names_its_hook():
    assert hook_layer_from({"metadata": {"hook_name": "blocks.2.hook_resid_post"}}, None, "S") == 2
    assert hook_layer_from({"hook_name": "blocks.2.hook_resid_post"}, 2, "S") == 2  # older folders: top level
    assert hook_layer_from({"metadata": {"hf_hook_name": "model.layers.4"}}, None, "S") == 4
    assert hook_layer_from({}, 5, "S") == 5


@pytest.mark.parametrize(
    ("config", "wanted", "message"),
    [
        ({}, None, "does not say"),
        ({"metadata": {"hook_name": "model.layers.4"}}, 3, r"hook_layer is 3.*block 4"),
        (
            {"metadata": {"hook_name": "blocks.1.hook_mlp_in", "hook_name_out": "blocks.1.hook_mlp_out"}},
            None,
            "transcoder",
        ),
    ],
)
def test_contradictions_are_refused(config, wanted, message):
    with pytest.raises(ConfigError, match=message):
        hook_layer_from(config, wanted, "S")
