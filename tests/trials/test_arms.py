import pytest
from pydantic import ValidationError

from saerl_core.config.load import validate
from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError
from saerl_core.trials.arms import resolve_arms

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
        ([], {"baseline": "shuffle"}, r"baseline is 'shuffle', which is none of the arms \['vanilla'\]"),
        ([], {"seeds": [1, 1]}, r"seeds are \[1, 1\]"),
    ],
)
def test_a_comparison_that_says_nothing_is_refused(arms: list[dict], compare: dict, message: str) -> None:
    with pytest.raises((ValidationError, ConfigError), match=message):
        validate({"compare": {"arms": [VANILLA, *arms], **compare}})


def test_a_budget_that_does_not_divide_names_the_nearest_that_do() -> None:
    with pytest.raises(ConfigError, match=r"32 x 8 = 256 rollouts, which do not divide .* 5000 .* 3,840 and 5,120"):
        resolved(budget_rollouts=5000, n_evaluations=5)


def test_a_wrong_setting_names_the_arm() -> None:
    wrong = {"name": "odd", "training": {"group_size": 1}}
    with pytest.raises(ConfigError, match=r"compare.arms 'odd': training.group_size"):
        resolved(wrong, budget_rollouts=5120, n_evaluations=5)
