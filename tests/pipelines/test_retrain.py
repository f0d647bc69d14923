"""Champion and challenger against a real MLflow server: promoted, skipped, rejected, rolled back, interrupted."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from saerl_core.promotion.changes import CODE_FOLDERS, DATA_VERSION_FILE, LOCKS
from tests.mlflow_server import register_stack
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]

ROOT = Path(__file__).resolve().parents[2]
SMOKE = "configs/embedded_smoke.yaml"  # the run that CI retrains on pull requests
GOOD = yaml.safe_load((ROOT / SMOKE).read_text())["parameters"]
DESTROYED = GOOD | {"training": GOOD["training"] | {"lr": 0.5}}  # the same base policy, trained to pieces
LENIENT = GOOD | {"gate": GOOD["gate"] | {"min_gain": -0.5, "max_topic_loss": 1.0}}
MODEL = GOOD["gate"]["model_name"]


@pytest.fixture(scope="module")
def client(mlflow_server):
    import mlflow

    return mlflow.MlflowClient(tracking_uri=mlflow_server.uri, registry_uri=mlflow_server.uri)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("retrain")


@pytest.fixture(scope="module")
def repository(folder):
    """A copy of what the code hash reads, so that an edit beside a running test is no reason to retrain."""
    copy = folder / "clone"
    for name in CODE_FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*LOCKS, DATA_VERSION_FILE):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def call(local_stack, mlflow_server, repository):
    """Run a command of `python -m pipelines` on the stack of the server: exit code and output."""
    from pipelines import retrain
    from pipelines.__main__ import main

    stack = register_stack(mlflow_server.uri, "retraining")

    def call(*arguments):
        done = CliRunner().invoke(main, [*arguments, "--stack", stack])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrain, "project_root", lambda: repository)
        yield call


def _retrain(call, folder, parameters, *more):
    path, page = folder / "run.yaml", folder / "summary.md"
    path.write_text(yaml.safe_dump({"parameters": parameters}))
    code, output = call("retrain", "-c", str(path), "--summary", str(page), *more)
    return code, output, page.read_text()


def _aliases(client):
    return {alias: int(version) for alias, version in client.get_registered_model(MODEL).aliases.items()}


def _stages():
    from zenml.client import Client

    return {v.name: v.stage for v in Client().list_model_versions(model=MODEL).items}


@pytest.fixture(scope="module")
def first(call, folder):
    """As CI calls it on a pull request: run file by ref, the page in GitHub's job summary."""
    page = folder / "job_summary.md"
    page.write_text("what an earlier step wrote\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_STEP_SUMMARY", str(page))
        code, output = call("retrain", "--ref", "refs/pull/7/merge")
    return code, output, page.read_text()


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
    version = client.get_model_version(MODEL, "1")
    assert version.tags["saerl.verdict"] == "promoted"
    assert "above the floor" in version.description
    assert f"{client.tracking_uri}/#/experiments/" in page
    assert page.startswith("what an earlier step wrote\n# Retraining of saerl-smoke: version 1 promoted")
    for cost in ("rollouts", "generated tokens"):
        assert f"| cost: {cost} | passed | The run took " in page


def test_the_registered_model_is_the_trained_policy(first, client, tmp_path):
    import mlflow
    from zenml.client import Client

    mlflow.set_tracking_uri(client.tracking_uri)  # `models:/` knows no other way; ZenML leaves "" after every step
    try:
        found = mlflow.artifacts.download_artifacts(f"models:/{MODEL}@champion", dst_path=str(tmp_path))
    finally:
        mlflow.set_tracking_uri(None)
    artifact = Client().get_artifact_version(client.get_model_version(MODEL, "1").tags["saerl.artifact"])
    reference = json.loads(next(tmp_path.rglob("saerl_policy.json")).read_text())
    assert reference["policy_id"] == artifact.run_metadata["policy_id"]
    from transformers import AutoModelForCausalLM

    assert AutoModelForCausalLM.from_pretrained(found).num_parameters() > 0


def test_unchanged_is_skipped(second, client):
    code, output, page = second
    assert code == 0
    assert output.strip().splitlines()[-1].startswith("skipped: version 1. nothing that matters changed")
    assert "skipped" in page
    assert len(client.search_model_versions(f"name='{MODEL}'")) == 1


def test_a_worse_candidate_is_rejected(third, client):
    code, output, page = third
    assert code == 3, output
    assert _aliases(client) == {"champion": 1, "challenger": 2}
    assert _stages() == {"mlflow-1": "production", "mlflow-2": "staging"}
    version = client.get_model_version(MODEL, "2")
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


def test_changed_code_is_judged_again(third, call, folder, client, repository):
    (repository / "steps" / "new.py").write_text("")
    try:
        code, output, page = _retrain(call, folder, GOOD)
    finally:
        (repository / "steps" / "new.py").unlink()
    assert code == 3, output
    assert "Trained because the code changed." in page


def test_a_first_candidate_below_the_floor_is_no_champion(third, call, folder, client):
    picky = GOOD | {"gate": GOOD["gate"] | {"model_name": "picky", "floor_overall": 0.99}}
    code, _, page = _retrain(call, folder, picky)
    assert code == 3
    assert "not above the floor of 99.0%" in page
    assert client.get_registered_model("picky").aliases == {"challenger": "1"}
    code, output = call("rollback", "--model", "picky")
    assert code == 1
    assert "there is nothing to go back to" in output


@pytest.fixture(scope="module")
def after_another(third, call, folder):
    """A second champion: a gate that is content with a loss, whose floor is still that of the first run."""
    return _retrain(call, folder, LENIENT)


def test_rollback_is_one_command(after_another, call, client, folder):
    assert after_another[0] == 0, after_another[1]
    new = _aliases(client)["champion"]
    assert client.get_model_version(MODEL, str(new)).tags["saerl.replaces"] == "1"
    code, output = call("rollback", "--model", MODEL)
    assert code == 0, output
    assert _aliases(client)["champion"] == 1
    assert _stages()["mlflow-1"] == "production"
    assert _stages()[f"mlflow-{new}"] == "archived"
    assert client.get_model_version(MODEL, str(new)).tags["saerl.verdict"] == "rolled back"
    code, output = call("champion", "--model", MODEL)
    assert "@champion" in next(line for line in output.splitlines() if line.strip().startswith("1  promoted"))
    assert "rolled back" in output

    code, output = call("rollback", "--model", MODEL)
    assert code == 1
    assert "nothing to go back to" in output
    code, output = call("rollback", "--model", MODEL, "--to", "2")
    assert code == 1
    assert "version 2 of 'saerl-smoke' was never promoted (rejected)" in output
    assert call("rollback", "--model", MODEL, "--to", str(new))[0] == 0
    assert _aliases(client)["champion"] == new


def test_stage_and_verdict_follow_the_alias(after_another, call, client, folder):
    """What a command leaves that was killed around the move of the alias is put right by the next one."""
    from zenml.client import Client

    champion = _aliases(client)["champion"]
    client.set_model_version_tag(MODEL, str(champion), "saerl.verdict", "passed")
    Client().update_model_version(MODEL, "mlflow-2", stage="production", force=True)
    code, output, _ = _retrain(call, folder, LENIENT)  # skipped: the champion's own inputs
    assert code == 0, output
    assert client.get_model_version(MODEL, str(champion)).tags["saerl.verdict"] == "promoted"
    assert [name for name, stage in _stages().items() if stage == "production"] == [f"mlflow-{champion}"]


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
