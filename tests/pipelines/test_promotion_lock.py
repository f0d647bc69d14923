"""The lock around the alias `champion`, on a real MLflow server, with processes that race and processes that die."""

import pytest

from tests.pipelines.promoters import NAME, die_while_promoting, promote_at_once
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]


@pytest.fixture(scope="module")
def client(mlflow_server):
    import mlflow

    return mlflow.MlflowClient(tracking_uri=mlflow_server.uri, registry_uri=mlflow_server.uri)


def test_of_two_promotions_at_once_one_wins(mlflow_server, client):
    for ends in promote_at_once(mlflow_server.uri, n_rounds=4):
        winners = [end.split()[1] for end in ends if end.startswith("won")]
        assert len(ends) == 2
        assert len(winners) == 1, ends
    assert client.get_registered_model(NAME).aliases["champion"] == winners[0]
    assert [m.name for m in client.search_registered_models() if m.name.endswith("lock")] == []


def test_who_is_killed_before_the_last_act_promotes_nothing(mlflow_server, client):
    from tracking.registry import Registry, lock

    registry = Registry("killed", mlflow_server.uri)
    assert die_while_promoting(mlflow_server.uri, registry.name, before_the_alias=True) == -9
    assert registry.holder() is None
    assert [policy.verdict for policy in registry.versions()] == ["passed"]
    with lock(client, registry.name, lease_s=1.5):
        pass  # the dead one's lock is gone now
    assert die_while_promoting(mlflow_server.uri, registry.name, before_the_alias=False) == -9
    assert registry.holder().version == 2
    registry.settle(registry.holder())
    assert [policy.verdict for policy in registry.versions()] == ["passed", "promoted"]


def test_a_lock_of_the_dead_is_taken_over(client):
    from tracking.registry import lock

    client.create_registered_model("dead.promotion-lock", tags={"saerl.owner": "gone"})
    with lock(client, "dead", lease_s=1.5) as still_ours:
        still_ours()
        assert client.get_registered_model("dead.promotion-lock").tags["saerl.owner"] != "gone"


def test_who_lost_the_lock_does_not_write(client):
    from saerl_core.errors import BackendError
    from tracking.registry import lock

    def overslept():
        with lock(client, "slow") as still_ours:
            client.delete_registered_model("slow.promotion-lock")
            client.create_registered_model("slow.promotion-lock", tags={"saerl.owner": "another"})
            still_ours()

    with pytest.raises(BackendError, match="nothing was promoted"):
        overslept()
    assert client.get_registered_model("slow.promotion-lock").tags["saerl.owner"] == "another"
