"""Strategies, labels and lengths in the configuration: what is set, what is told, which advice leads out."""

import re

import pytest

from saerl_core.config.load import flatten, load_config, validate
from saerl_core.config.run import PlanConfig, RunConfig
from saerl_core.errors import ConfigError
from saerl_core.plan.strategies.mopps import MoppsSettings
from tests.config.bases import FILE, PRETRAINED, TEXT, merged, message, write


def test_flat_settings_for_mlflow():
    flat = flatten(validate({"plan": {"strategy": "vanilla"}, "seed": 4}))
    assert flat["plan.strategy"] == "vanilla"
    assert flat["seed"] == 4
    assert flat["evaluation.ks"] == "1,8"
    assert flat["sae.hook_layer"] == "none"
    assert flat["prompts.task_world.bad_frac"] == 0.2
    assert all(isinstance(v, str | int | float | bool) for v in flat.values())


@pytest.mark.parametrize(
    ("strategy", "overrides", "wanted"),
    [
        ("adaptive", {"plan.strategy.explore_frac": 0.5}, {"name": "adaptive", "explore_frac": 0.5}),
        (
            "{name: adaptive, noise: 0}",
            {"plan.strategy.explore_frac": 0.5},
            {"name": "adaptive", "noise": 0, "explore_frac": 0.5},
        ),
        ("{name: adaptive, noise: 0}", {"plan.strategy": "vanilla"}, {"name": "vanilla"}),
        ("vanilla", {"plan.strategy": {"name": "mopps"}}, {"name": "mopps"}),
    ],
)
def test_an_override_adds_to_a_strategys_settings_or_takes_another(tmp_path, strategy, overrides, wanted):
    config = load_config(write(tmp_path, f"parameters:\n  plan: {{strategy: {strategy}}}\n"), overrides)
    assert config.plan.strategy.model_dump(exclude_unset=True) == wanted


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (
            {"online": {"explore_frac": 0.5}},
            "plan.online is not a setting any more; its settings stand under plan.strategy",
        ),
        ({"mix_frac": 0.5}, "plan.mix_frac is not a setting of the strategy in use; 'saerl' reads it"),
        (
            {"strategy": {"explore_frac": 0.5}},
            "plan.strategy.name is not set; name the strategy whose settings these are",
        ),
        ({"strategy": {"name": "adptive"}}, "plan.strategy.name = 'adptive' is not known (did you mean 'adaptive'?)"),
        (
            {"strategy": {"name": "adaptive", "explore_frac": 3}},
            "plan.strategy.explore_frac = 3 is out of range: it must be at most 1.0; leave it out for 0.0",
        ),
        ({"strategy": {"name": "bandit", "cooldown": 3}}, "did you mean plan.strategy.cooldown_rollouts?"),
        ({"strategy": 3}, "plan.strategy = 3 is not known: it must be 'saerl', 'vanilla'"),
        ({"strategy": None}, "plan.strategy = None is not known: it must be 'saerl', 'vanilla'"),
    ],
)
def test_what_is_wrong_with_a_strategy_is_told_by_its_own_settings(plan, told):
    assert told in message({"plan": plan})


def test_parameters_name_the_strategy_and_its_own_settings_only():
    flat = flatten(validate({"plan": {"strategy": "mopps"}}))
    assert {key for key in flat if key.startswith("plan.strategy")} == {
        "plan.strategy",
        "plan.strategy.use_quality",
        "plan.strategy.cooldown_rollouts",
        "plan.strategy.max_uses",
        "plan.strategy.half_life_rollouts",
    }
    assert flat["plan.strategy"] == "mopps"


def test_a_strategy_that_is_given_as_settings_keeps_its_name():
    """ZenML gets what was set only: without its name a section of settings would be nobody's."""
    config = RunConfig(plan=PlanConfig(strategy=MoppsSettings()))
    assert config.model_dump(exclude_unset=True) == {"plan": {"strategy": {"name": "mopps"}}}
    assert validate(config.model_dump(mode="json", exclude_unset=True)) == config


@pytest.mark.parametrize(
    ("parameters", "measured"),
    [
        ({}, False),
        ({"plan": {"strategy": "saerl"}}, True),
        ({"plan": {"strategy": "vanilla"}}, False),
        ({"plan": {"strategy": "learnability"}}, True),
        ({"plan": {"strategy": {"name": "saerl", "use_difficulty": False}}}, False),
        ({"plan": {"strategy": "adaptive"}, "difficulty": {"label": "pass_rate"}}, True),
        ({"plan": {"strategy": "adaptive"}, "training": {"enabled": False}}, True),
        ({"plan": {"strategy": "vanilla"}, "compare": {"arms": [{"name": "vanilla"}]}}, False),
        (
            {
                "plan": {"strategy": "vanilla"},
                "compare": {"arms": [{"name": "vanilla"}, {"name": "saerl", "plan": {"strategy": {"name": "saerl"}}}]},
            },
            True,
        ),
    ],
)
def test_rollouts_are_spent_on_labels_only_where_something_rests_on_them(parameters, measured):
    assert validate(parameters).may_measure is measured


@pytest.mark.parametrize("section", ["pass_rates", "training", "evaluation"])
def test_the_length_of_a_foreign_models_answers_must_be_said(section):
    told = message(
        {"plan": {"strategy": "saerl"}} | {key: value for key, value in PRETRAINED.items() if key != section}
    )
    assert f"{section}.max_completion_tokens is not set, and its default of 24 tokens fits the built-in" in told
    assert "set it to the length that an answer of your model needs" in told
    assert validate(PRETRAINED) == validate(validate(PRETRAINED).model_dump(mode="json", exclude_unset=True))


def test_a_layout_that_is_open_stays_open_when_a_step_reads_the_settings_again():
    """ZenML writes a step's settings as JSON; a full list of columns was taken for columns that a user had named."""
    config = validate(TEXT | {"prompts": {"source": "file", "path": "pool.jsonl", "columns": {"topic": "subject"}}})
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.prompts.columns.model_fields_set == {"topic"}


@pytest.mark.parametrize(
    "base",
    [
        TEXT,
        PRETRAINED,
        FILE | {"policy": {"source": "text"}, "training": {"enabled": False}, "evaluation": {"enabled": False}},
    ],
)
@pytest.mark.parametrize(
    "label", [{"label": "pass_rate"}, {"label": "known_pass_rate"}, {"label": "level"}, {"label": "likelihood"}]
)
def test_advice_about_labels_leads_out_and_not_in_a_circle(base, label):
    """Follow the advice to set difficulty.label until nothing is refused: once must be enough."""
    given = merged(base, {"difficulty": label, "prompts": {"columns": {"level": None, "pass_rate": None}}})
    try:
        validate(given)
    except ConfigError as error:
        error_text = str(error)
        advised = re.findall(r"set difficulty\.label to '(\w+)'", error_text)
    else:
        return
    assert advised, f"the way out is not told: {error_text}"
    assert validate(merged(given, {"difficulty": {"label": advised[0]}})).difficulty.label == advised[0]
