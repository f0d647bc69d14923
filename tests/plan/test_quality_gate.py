"""Who leaves out what the quality probe does not keep: `saerl` and the online strategies, each by its own switch."""

import pytest

from saerl_core.config import OnlineConfig, PlanConfig
from saerl_core.plan.decisions import LOW_QUALITY, refusals
from tests.plan.pools import Row, make_inputs

POOL = make_inputs([Row("kept", 0, 0.5), Row("bad", 0, 0.5, keep=False)]).joined()


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize(
    ("strategy", "switch"),
    [
        ("saerl", "own"),
        ("vanilla", None),
        ("difficulty", None),
        ("a static one of tomorrow", None),
        ("adaptive", "online"),
        ("mopps", "online"),
        ("bandit", "online"),
    ],
)
def test_each_strategy_obeys_its_own_switch_and_no_other(strategy, switch, own, online):
    values = {**dict(PlanConfig()), "use_quality": own, "online": OnlineConfig(use_quality=online)}
    config = PlanConfig.model_construct(**{**values, "strategy": strategy})
    reasons = dict(zip(POOL["prompt_id"], refusals(POOL, config), strict=True))
    filters = {"own": own, "online": online, None: False}[switch]
    assert reasons == {"kept": "", "bad": LOW_QUALITY if filters else ""}
