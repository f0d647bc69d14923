import pytest

from saerl_core.config.load import validate
from saerl_core.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"shards": {"pass_rates": 41}, "pass_rates": {"n_labelled": 40}, "difficulty": {"label": "pass_rate"}},
            r"shards\.pass_rates is 41, but pass_rates\.n_labelled is 40; set the first to at most 40",
        ),
        (
            {"shards": {"features": 301}, "prompts": {"task_world": {"n_train": 300}}},
            r"shards\.features is 301, but prompts\.task_world\.n_train is 300; set the first to at most 300",
        ),
        (
            {"shards": {"likelihoods": 301}, "prompts": {"task_world": {"n_train": 300}}},
            r"shards\.likelihoods is 301, but prompts\.task_world\.n_train is 300; set the first to at most 300",
        ),
        ({"shards": {"features": 0}}, "shards.features"),
    ],
)
def test_more_shards_than_prompts_are_refused_where_the_number_is_known(settings, said):
    with pytest.raises(ConfigError, match=said):
        validate(settings)


def test_labels_that_nobody_measures_are_not_counted():
    settings = {"shards": {"pass_rates": 41}, "pass_rates": {"n_labelled": 40}, "difficulty": {"label": "level"}}
    assert validate(settings).shards.pass_rates == 41
