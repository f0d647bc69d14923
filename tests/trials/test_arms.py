import pytest
from pydantic import ValidationError

from saerl_core.config.load import validate
from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError
from saerl_core.trials.arms import other_readings, resolve_arms

VANILLA = {"name": "vanilla", "plan": {"strategy": "vanilla"}, "training": {"group_size": 8}}


def resolved(*arms: dict, **compare: object):
    config = RunConfig.model_validate({"compare": {"arms": [VANILLA, *arms], **compare}})
    return resolve_arms(config, config.compare)


def test_steps_follow_from_the_budget_so_that_arms_of_different_groups_cost_the_same() -> None:
    small = {"name": "small", "plan": {"strategy": "vanilla"}, "training": {"group_size": 4}}
    one, other = resolved(small, budget_rollouts=5120, n_evaluations=5)
    assert (one.plan.n_steps, other.plan.n_steps) == (20, 40)
    assert one.rollouts_per_step * 20 == other.rollouts_per_step * 40 == 5120
    assert (one.training.eval_every_steps, other.training.eval_every_steps) == (4, 8)


def test_pilots_get_more_batches_for_the_same_budget() -> None:
    pilot = {"name": "pilot", "plan": {"strategy": "vanilla"}, "training": {"group_size": 8, "screen": "pilot"}}
    one, other = resolved(pilot, budget_rollouts=5120, n_evaluations=5)
    assert (one.plan.n_steps, other.plan.n_steps) == (20, 80), "dead pilots of two cost a quarter"


def test_an_arm_changes_a_strategy_or_only_its_settings() -> None:
    base = {"plan": {"strategy": {"name": "adaptive", "half_life_rollouts": 900.0}}}
    arms = [
        {"name": "vanilla", "plan": {"strategy": {"name": "vanilla"}}},
        {"name": "slow", "plan": {"strategy": {"name": "adaptive", "warmup_rollouts": 5}}},
    ]
    config = RunConfig.model_validate({**base, "compare": {"arms": arms, "budget_rollouts": 5120, "n_evaluations": 5}})
    other, slow = resolve_arms(config, config.compare)
    assert other.plan.strategy.name == "vanilla"
    assert slow.plan.strategy.model_dump()["half_life_rollouts"] == 900.0


@pytest.mark.parametrize(
    ("arms", "compare", "message"),
    [
        ([{"name": "vanilla", "plan": {"strategy": "saerl"}}], {}, "two arms named 'vanilla'"),
        (
            [VANILLA | {"name": "again"}],
            {},
            "'again' differs in nothing",
        ),
        (
            [{"name": "worded", "plan": {"strategy": {"name": "vanilla"}}, "training": {"group_size": 8, "lr": 5e-4}}],
            {},
            "'worded' differs in nothing from 'vanilla'",
        ),
        ([], {"baseline": "shuffle"}, r"baseline is 'shuffle', which is none of the arms \['vanilla'\]"),
        ([], {"seeds": [1, 1]}, r"seeds are \[1, 1\]"),
    ],
)
def test_a_comparison_that_says_nothing_is_refused(arms: list[dict], compare: dict, message: str) -> None:
    with pytest.raises((ValidationError, ConfigError), match=message):
        other_readings(c := validate({"compare": {"arms": [VANILLA, *arms], **compare}}), c.compare)


def test_a_budget_that_does_not_divide_names_the_nearest_that_do() -> None:
    with pytest.raises(ConfigError, match=r"32 x 8 = 256 rollouts, which do not divide .* 5000 .* 3,840 and 5,120"):
        resolved(budget_rollouts=5000, n_evaluations=5)


def test_a_wrong_setting_names_the_arm() -> None:
    wrong = {"name": "odd", "training": {"group_size": 1}}
    with pytest.raises(ConfigError, match=r"compare.arms 'odd': training.group_size"):
        resolved(wrong, budget_rollouts=5120, n_evaluations=5)


def test_a_reading_of_the_pool_is_there_once_and_the_run_s_own_is_none() -> None:
    ours = {"plan": {"strategy": "saerl"}}
    arms = [
        VANILLA,
        {"name": "said", **ours, "space": "sae", "sae": {"expansion": 8}},  # the defaults, written down
        {"name": "dense", **ours, "space": "dense"},
        {"name": "wide", **ours, "sae": {"expansion": 16, "seed": 3}},
        {"name": "wide_again", "plan": {"strategy": "difficulty"}, "sae": {"expansion": 16, "seed": 3}},
        {"name": "peaks", **ours, "features": {"pooling": "max"}},
    ]
    config = RunConfig.model_validate({"compare": {"arms": arms, "budget_rollouts": 5120, "n_evaluations": 5}})
    readings = other_readings(config, config.compare)
    assert list(readings) == ["dense", "wide", "peaks"]
    by_name = {arm.name: arm.reading for arm in resolve_arms(config, config.compare)}
    assert by_name["vanilla"] is by_name["said"] is None
    assert by_name["wide_again"] == readings["wide"] != readings["peaks"]
    theirs = readings["wide"].config(config)
    assert (theirs.sae.expansion, theirs.sae.seed, theirs.sae.k) == (16, 3, config.sae.k)
    assert (theirs.signals.space, readings["dense"].config(config).signals.space) == ("sae", "dense")


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"sae": {"k": 900}}, "compare.arms 'odd': sae.k is 900, but the SAE has only .* = 512 latents"),
        ({"sae": {"source": "load"}}, "compare.arms 'odd': sae.source is 'load', but sae.path is not set"),
        ({"sae": {"width": 3}}, "compare.arms 'odd': sae.width: Extra inputs are not permitted"),
        ({"features": {"pooling": "median"}}, "compare.arms 'odd': features.pooling: Input should be 'mean', 'max'"),
        ({"plan": {"prompts_per_step": 4000}}, "compare.arms 'odd': plan.prompts_per_step is 4000, more than the pool"),
        ({"plan": {"n_steps": 7}}, "'odd' sets plan.n_steps = 7, but steps follow from compare.budget_rollouts"),
        (
            {"training": {"seed": 7}},
            "'odd' sets training.seed = 7, but every arm is trained with each of compare.seeds",
        ),
    ],
)
def test_what_cannot_work_in_an_arm_is_refused_with_its_name(arm: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved({"name": "odd", **arm}, budget_rollouts=5120, n_evaluations=5)


def test_a_pool_without_held_out_prompts_is_refused_before_anything_runs():
    config = validate(
        {
            "prompts": {"source": "hub", "dataset": "openai/gsm8k"},
            "policy": {"source": "pretrained", "model": "some/model"},
            "evaluation": {"enabled": False},
            "pass_rates": {"max_completion_tokens": 64},
            "training": {"max_completion_tokens": 64},
            "grading": {"kind": "math"},
            "compare": {"arms": [{"name": "vanilla", "plan": {"strategy": "vanilla"}}]},
        }
    )
    with pytest.raises(ConfigError, match=r"^prompts\.source is 'hub', .* name a file in prompts\.eval_path$"):
        resolve_arms(config, config.compare)


def test_a_baseline_that_is_no_arm_is_named_once():
    with pytest.raises(ConfigError, match=r"^compare\.baseline is 'nosuch', which is none of the arms \['vanilla'\]"):
        validate({"compare": {"baseline": "nosuch", "arms": [{"name": "vanilla"}]}})
