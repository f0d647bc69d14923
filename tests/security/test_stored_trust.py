"""A policy in the artifact store cannot make itself trusted: the running pipeline's configuration has the last word."""

import json
from pathlib import Path

import pytest

from saerl_core.config.run import PolicyConfig, RunConfig
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS


@pytest.mark.parametrize("trusted", [False, True])
def test_the_configuration_decides(local_stack, trusted):
    from tests.security.trust_pipeline import ask

    run = ask(config=RunConfig(policy=PolicyConfig(source="pretrained", model="org/model", trust_remote_code=trusted)))
    [stored] = run.steps["store_a_trusted_policy"].outputs["output"]
    assert json.loads((Path(stored.uri) / "saerl_policy.json").read_text())["trust_remote_code"] is True
    assert run.steps["is_trusted"].outputs["output"][0].load() is trusted
    assert not stored.load().trust_remote_code, "outside of a run"
