"""Who leaves out what the quality probe does not keep: each strategy by its own switch, and none that has no switch."""

import pytest

from saerl_core.plan.decisions import LOW_QUALITY, refusals
from saerl_core.plan.strategies import STRATEGIES
from tests.plan.pools import Row, make_inputs

POOL = make_inputs([Row("kept", 0, 0.5), Row("bad", 0, 0.5, keep=False)]).joined()


def refused(settings):
    reasons = dict(zip(POOL["prompt_id"], refusals(POOL, settings), strict=True))
    assert reasons["kept"] == ""
    assert reasons["bad"] in ("", LOW_QUALITY)
    return reasons["bad"] == LOW_QUALITY


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_obeys_its_own_switch(name):
    settings = STRATEGIES[name].settings
    if "use_quality" not in settings.model_fields:
        assert not refused(settings())
        return
    assert [refused(settings(use_quality=switch)) for switch in (True, False)] == [True, False]


def test_the_controls_have_no_switch_and_the_papers_plan_filters_by_default():
    filters = {name: row.settings().filters_by_quality() for name, row in STRATEGIES.items()}
    assert [name for name, filtered in filters.items() if filtered] == ["saerl"]
    assert all("use_quality" not in STRATEGIES[name].settings.model_fields for name in ("vanilla", "difficulty"))
