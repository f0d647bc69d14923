"""The MLflow server is killed during training and comes back later: the run ends green, MLflow has everything once."""

import copy
import threading
from collections import Counter

import pytest

from tests.mlflow_server import MlflowServer, register_stack
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]
N_STEPS = 6
DOWN_AFTER_TRAINING_S = 15.0  # longer than a step waits at its end, so that ZenML meets the dead server too


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MlflowServer(tmp_path_factory.mktemp("server")).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def stack_on_server(local_stack, server):
    from zenml.client import Client

    Client().activate_stack(register_stack(server.uri, "outage"))
    yield "outage"
    Client().activate_stack(local_stack)


@pytest.fixture(scope="module")
def run_with_outage(stack_on_server, server):
    """A run whose server is killed at the third training step, and started again some time after training."""
    import steps.train_policy as step_module
    from pipelines.training import saerl_pipeline

    waited = []
    original = step_module.log_training_step

    def log_and_kill(step, metrics):
        if step == 2:
            server.kill()
        original(step, metrics)
        if step == N_STEPS - 1:
            from steps._tracking import _open

            waited.append(_open[-1].n_pending)
            timer = threading.Timer(DOWN_AFTER_TRAINING_S, server.start)
            timer.start()

    parameters = copy.deepcopy(SMALL)
    parameters["plan"] = {"n_steps": N_STEPS, "prompts_per_step": 8}
    parameters["training"] = {**parameters["training"], "seed": 41}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_module, "log_training_step", log_and_kill)
        run = saerl_pipeline(**parameters)
    return run, waited[0]


@pytest.fixture(scope="module")
def tracked(run_with_outage, server):
    import mlflow

    run, _ = run_with_outage
    client = mlflow.MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("saerl")
    found = client.search_runs([experiment.experiment_id], f"tags.`mlflow.runName` = '{run.name}'")
    assert len(found) == 1
    return client, found[0]


def test_the_run_is_green_and_the_metrics_had_to_wait(run_with_outage):
    run, waited = run_with_outage
    assert {str(step.status) for step in run.steps.values()} <= {"completed", "cached"}
    assert str(run.steps["train_policy"].status) == "completed"
    assert str(run.status) == "completed"
    assert waited > 0


def test_every_training_step_is_there_once(tracked):
    client, run = tracked
    curves = [key for key in run.data.metrics if key in ("train/reward_mean", "train/zero_std_frac", "train/step_s")]
    assert len(curves) == 3
    for key in curves:
        assert Counter(m.step for m in client.get_metric_history(run.info.run_id, key)) == Counter(range(N_STEPS)), key


def test_everything_else_is_there_too(tracked, saerl_home):
    client, run = tracked
    assert run.info.status == "FINISHED"
    assert run.data.params["training.seed"] == "41"
    assert {"git_sha", "plan_hash"} <= set(run.data.tags)
    for prefix in ("probe/quality", "plan", "train", "eval", "cost", "sae"):
        assert any(name.startswith(f"{prefix}/") for name in run.data.metrics), prefix
    assert {"report.html", "plan.parquet"} <= {f.path for f in client.list_artifacts(run.info.run_id)}
    assert run.inputs.dataset_inputs
    assert not (saerl_home / "tracking" / run.info.run_id).exists(), "something still waits"
