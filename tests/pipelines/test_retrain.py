"""Champion and challenger against a real MLflow server: promoted, skipped, rejected, rolled back, and raced."""

import copy
import json

import pytest
import yaml
from click.testing import CliRunner

from tests.mlflow_server import MlflowServer, register_stack
from tests.pipelines.promoters import NAME, promote_at_once
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]

GOOD = copy.deepcopy(SMALL) | {
    # easy enough that two hundred steps of pre-training solve some of it
    "prompts": {"task_world": {"n_train": 240, "n_dev": 40, "n_test": 60, "level_weights": [1, 0, 0, 0, 0]}},
    "policy": {"pretrain_steps": 200, "sloppy_steps": 20},
    "gate": {"model_name": "small", "floor_overall": 0.02, "n_bootstrap": 2000},
}
DESTROYED = GOOD | {"training": SMALL["training"] | {"lr": 0.5}}  # the same base policy, trained to pieces


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MlflowServer(tmp_path_factory.mktemp("mlflow")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(server):
    import mlflow

    return mlflow.MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("retrain")


@pytest.fixture(scope="module")
def call(local_stack, server, folder):
    """Run a command of `python -m pipelines` on the stack of the server: exit code and output."""
    from pipelines.__main__ import main

    stack = register_stack(server.uri, "retraining")

    def call(*arguments):
        done = CliRunner().invoke(main, [*arguments, "--stack", stack])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    return call


def _retrain(call, folder, parameters, *more):
    path, page = folder / "run.yaml", folder / "summary.md"
    path.write_text(yaml.safe_dump({"parameters": parameters}))
    code, output = call("retrain", "-c", str(path), "--summary", str(page), *more)
    return code, output, page.read_text()


def _aliases(client):
    return {alias: int(version) for alias, version in client.get_registered_model("small").aliases.items()}


def _stages():
    from zenml.client import Client

    return {v.name: v.stage for v in Client().list_model_versions(model="small").items}


@pytest.fixture(scope="module")
def first(call, folder):
    return _retrain(call, folder, GOOD)


@pytest.fixture(scope="module")
def second(first, call, folder):
    return _retrain(call, folder, GOOD)


@pytest.fixture(scope="module")
def third(second, call, folder):
    return _retrain(call, folder, DESTROYED)


def test_the_first_candidate_above_the_floor_is_promoted(first, client):
    code, output, page = first
    assert code == 0, output
    assert "promoted: version 1" in output
    assert "above the floor of 2.0%" in page
    assert _aliases(client) == {"champion": 1}
    assert _stages() == {"mlflow-1": "production"}
    version = client.get_model_version("small", "1")
    assert version.tags["saerl.verdict"] == "promoted"
    assert "above the floor" in version.description
    assert f"{client.tracking_uri}/#/experiments/" in page


def test_the_registered_model_is_the_trained_policy(first, client, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    from zenml.client import Client

    found = mlflow.artifacts.download_artifacts(
        "models:/small@champion", dst_path=str(tmp_path), tracking_uri=client.tracking_uri
    )
    artifact = Client().get_artifact_version(client.get_model_version("small", "1").tags["saerl.artifact"])
    reference = json.loads(next(tmp_path.rglob("saerl_policy.json")).read_text())
    assert reference["policy_id"] == artifact.run_metadata["policy_id"]
    from transformers import AutoModelForCausalLM

    assert AutoModelForCausalLM.from_pretrained(found).num_parameters() > 0


def test_unchanged_is_skipped(second, client):
    code, output, page = second
    assert code == 0
    assert output.strip().splitlines()[-1].startswith("skipped: version 1. nothing that matters changed")
    assert "skipped" in page
    assert len(client.search_model_versions("name='small'")) == 1


def test_a_worse_candidate_is_rejected(third, client):
    code, output, page = third
    assert code == 3, output
    assert _aliases(client) == {"champion": 1, "challenger": 2}
    assert _stages() == {"mlflow-1": "production", "mlflow-2": "staging"}
    version = client.get_model_version("small", "2")
    assert version.tags["saerl.verdict"] == "rejected"
    assert "the lower end is not above" in version.description
    assert "| gain | **failed** |" in page
    assert "| all | 60 |" in page
    assert "the configuration changed" in page


def test_what_was_rejected_is_not_trained_again(third, call, folder, client):
    code, output, _ = _retrain(call, folder, DESTROYED)
    assert code == 0
    assert "skipped: version 2" in output
    assert _aliases(client)["champion"] == 1


def test_forced_the_same_policy_is_no_gain(third, call, folder, client):
    code, output, page = _retrain(call, folder, GOOD, "--force")
    assert code == 3
    assert "+0.0 points [+0.0, +0.0]" in output
    assert _aliases(client) == {"champion": 1, "challenger": 3}
    assert "\n| all | 60 |" in page


@pytest.fixture(scope="module")
def after_another(third, call, folder):
    """A second champion: a gate that is content with a loss, whose floor is still that of the first run."""
    lenient = GOOD | {"gate": GOOD["gate"] | {"min_gain": -0.5, "max_topic_loss": 1.0}, "training": SMALL["training"]}
    return _retrain(call, folder, lenient)


def test_rollback_is_one_command(after_another, call, client, folder):
    assert after_another[0] == 0, after_another[1]
    new = _aliases(client)["champion"]
    assert client.get_model_version("small", str(new)).tags["saerl.replaces"] == "1"
    code, output = call("rollback", "--model", "small")
    assert code == 0, output
    assert _aliases(client)["champion"] == 1
    assert _stages()["mlflow-1"] == "production"
    assert _stages()[f"mlflow-{new}"] == "archived"
    assert client.get_model_version("small", str(new)).tags["saerl.verdict"] == "rolled back"
    code, output = call("champion", "--model", "small")
    assert "@champion" in next(line for line in output.splitlines() if line.strip().startswith("1  promoted"))
    assert "rolled back" in output

    code, output = call("rollback", "--model", "small")
    assert code == 1
    assert "nothing to go back to" in output
    code, output = call("rollback", "--model", "small", "--to", "2")
    assert code == 1
    assert "version 2 of 'small' was never promoted (rejected)" in output
    assert call("rollback", "--model", "small", "--to", str(new))[0] == 0
    assert _aliases(client)["champion"] == new


def test_errors_are_neither_promotion_nor_rejection(call, folder):
    code, output, page = _retrain(call, folder, GOOD | {"evaluation": {"enabled": False}})
    assert code == 1
    assert "evaluation.enabled is false" in output
    assert page.startswith("# Retraining failed")


def test_two_retrainings_on_one_machine_take_turns(call, folder, saerl_home):
    from pipelines.retrain import _one_at_a_time

    with _one_at_a_time(saerl_home / "retrain.lock"):
        code, output, _ = _retrain(call, folder, GOOD)
    assert code == 1
    assert "another retraining runs here" in output


def test_of_two_promotions_at_once_one_wins(server, client):
    for ends in promote_at_once(server.uri, n_rounds=4):
        winners = [end.split()[1] for end in ends if end.startswith("won")]
        assert len(ends) == 2
        assert len(winners) == 1, ends
    assert client.get_registered_model(NAME).aliases["champion"] == winners[0]
    assert [m.name for m in client.search_registered_models() if m.name.endswith("lock")] == []


def test_a_lock_of_the_dead_is_taken_over(client):
    from steps._registry import lock

    client.create_registered_model("dead.promotion-lock", tags={"saerl.owner": "gone"})
    with lock(client, "dead", lease_s=1.5) as still_ours:
        still_ours()


def test_who_lost_the_lock_does_not_write(client):
    from saerl_core.errors import BackendError
    from steps._registry import lock

    def overslept():
        with lock(client, "slow") as still_ours:
            client.delete_registered_model("slow.promotion-lock")
            client.create_registered_model("slow.promotion-lock", tags={"saerl.owner": "another"})
            still_ours()

    with pytest.raises(BackendError, match="nothing was promoted"):
        overslept()
    assert client.get_registered_model("slow.promotion-lock").tags["saerl.owner"] == "another"
