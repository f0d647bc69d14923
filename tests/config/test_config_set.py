"""Settings of a command line: typed by the configuration, with the messages of a run file."""

import pytest

from saerl_core.config.load import load_config
from saerl_core.config.set import read_settings
from saerl_core.errors import ConfigError


def value_of(config, path):
    for part in path.split("."):
        config = getattr(config, part)
    return config


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("seed=3", 3),
        ("plan.n_steps=null", None),
        ("plan.n_steps=~", None),
        ("plan.n_steps=010", 10),  # 8 in YAML 1.1
        ("training.enabled=no", False),
        ("training.enabled = false", False),
        ("sae.lr=1e-4", 1e-4),  # a text in YAML 1.1
        ("gate.min_gain=-.5", -0.5),
        ("prompts.answer_after=####", "####"),  # a comment in YAML
        ("prompts.answer_after=no", "no"),  # false in YAML
        ("prompts.answer_after=null", None),
        ("prompts.answer_after=a = b", "a = b"),
        ("prompts.answer_after=\\boxed", "\\boxed"),
        ("prompts.columns.prompt={question}\n{options}", "{question}\n{options}"),  # no YAML at all
        ("prompts.columns.answer=42", "42"),
        ("prompts.columns.answer=12:30", "12:30"),  # a number to base 60 in YAML 1.1
        ("prompts.columns.topic=null", None),
        ("prompts.keep_flags=[short_prompt, no_answer]", None),
        ("evaluation.ks=[1, 4]", (1, 4)),
        ("plan.strategy.name=vanilla", "vanilla"),
    ],
)
def test_a_value_has_the_type_of_its_setting(given, value):
    settings = read_settings([given])
    if "keep_flags" in given:
        assert settings == {"prompts.keep_flags": ["short_prompt", "no_answer"]}
        return
    assert value_of(load_config(None, settings), given.partition("=")[0].strip()) == value


@pytest.mark.parametrize("turned", [False, True])
def test_a_strategy_and_its_settings_in_any_order(turned, tmp_path):
    (tmp_path / "run.yaml").write_text("parameters: {plan: {n_steps: 7, strategy: {name: saerl, mix_frac: 0.5}}}")
    given = ["plan.strategy=adaptive", "plan.strategy.noise=0.9", "plan.prompts_per_step=8"]
    config = load_config(tmp_path / "run.yaml", read_settings(given[::-1] if turned else given))
    assert config.plan.strategy.name == "adaptive"
    assert config.plan.strategy.noise == 0.9
    assert (config.plan.n_steps, config.plan.prompts_per_step) == (7, 8)


def test_the_last_of_one_setting_counts():
    assert read_settings(["seed=1", "seed=2"]) == {"seed": 2}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("plan.n_steps", "--set 'plan.n_steps' is not of the form section.key=value, such as"),
        ("=3", "is not of the form"),
        ("plan..n_steps=3", "is not of the form"),
        ("parameters.plan.n_steps=3", "leave that out: --set plan.n_steps=3"),
        ("plan.n_steps=0", "plan.n_steps = 0 is out of range: it must be at least 1; leave it out for 120"),
        ("plan.n_steps=", "plan.n_steps = '' has the wrong type: it must be a whole number"),
        ("plan.n_steps=many", "plan.n_steps = 'many' has the wrong type: it must be a whole number"),
        ("plan.n_stps=3", "plan.n_stps is not a setting; did you mean plan.n_steps?"),
        ("n_steps=3", "n_steps is not a setting; did you mean plan.n_steps?"),
        ("plan=3", "plan = 3 has the wrong type: it must be a section"),
        ("plan.n_steps.x=3", "plan.n_steps = {'x': 3} has the wrong type"),
        ("plan.strategy=sarl", "plan.strategy = 'sarl' is not known (did you mean 'saerl'?)"),
        ("training.enabled=maybe", "training.enabled = 'maybe' has the wrong type: it must be true or false"),
        ("prompts.keep_flags=no_answer", "prompts.keep_flags = 'no_answer' has the wrong type: it must be a list"),
    ],
)
def test_what_is_wrong_is_told_as_in_a_run_file(given, told):
    with pytest.raises(ConfigError) as caught:
        load_config(None, read_settings([given]))
    assert told in str(caught.value)
