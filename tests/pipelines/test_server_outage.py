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
STEP_WAIT_S = 2.0
DOWN_AFTER_TRAINING_S = 4.0  # longer than a step waits at its end, so that ZenML meets the dead server too


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

    seen = {}
    original = step_module.log_training_step
    timer = threading.Timer(DOWN_AFTER_TRAINING_S, server.start)

    def log_and_kill(step, metrics):
        if step == 2:
            server.kill()
        original(step, metrics)
        if step == N_STEPS - 1:
            from tracking.delivery import _open

            seen.update(waited=_open[-1].n_pending, was_up=server.answers())
            timer.start()

    parameters = copy.deepcopy(SMALL)
    parameters["plan"] = {"n_steps": N_STEPS, "prompts_per_step": 8}
    parameters["training"] = {**parameters["training"], "seed": 41}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_module, "log_training_step", log_and_kill)
        patch.setattr("tracking.delivery.STEP_WAIT_S", STEP_WAIT_S)
        try:
            run = saerl_pipeline(**parameters)
        finally:
            if timer.ident is not None:  # it has begun: nothing may start a server after this test
                timer.join()
    return run, seen


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
    run, seen = run_with_outage
    assert {str(step.status) for step in run.steps.values()} <= {"completed", "cached"}
    assert str(run.steps["train_policy"].status) == "completed"
    assert str(run.status) == "completed"
    assert not seen["was_up"]
    assert seen["waited"] > 0


def test_every_training_step_is_there_once(tracked, run_with_outage):
    client, run = tracked
    log = run_with_outage[0].steps["train_policy"].outputs["training_log"][0].load()
    columns = log.select_dtypes("number").dropna(axis="columns").set_index("step")
    columns = columns.drop(columns=["n_rollouts_total", "n_tokens_total"])  # no curves of MLflow
    assert {"reward_mean", "zero_std_frac", "step_s"} <= set(columns)
    for name, values in columns.items():
        history = client.get_metric_history(run.info.run_id, f"train/{name}")
        assert Counter(m.step for m in history) == Counter(range(N_STEPS)), name
        assert {m.step: m.value for m in history} == pytest.approx(values.astype(float).to_dict()), name


def test_the_values_of_every_stage_are_there(tracked, run_with_outage, tmp_path):
    """ZenML has the same values from each step, and its store was never down."""
    import json
    from pathlib import Path

    from saerl_core.stages import STAGES

    client, run = tracked
    steps = run_with_outage[0].steps
    known = {
        key: value
        for name, stage in STAGES.items()
        if name in steps
        for key, value in steps[name].run_metadata.items()
        if key.startswith(f"{stage.prefix}/")
    }
    assert {key.split("/")[0] for key in known} >= {"probe", "plan", "train", "eval", "sae", "prompts"}
    file = client.download_artifacts(run.info.run_id, "diagnostics.json", str(tmp_path))
    stored = json.loads(Path(file).read_text())
    assert {k: v for name in STAGES for k, v in stored.get(name, {}).items()} == pytest.approx(known)
    for key in run.data.metrics:
        if key.startswith("answer/"):
            assert len(client.get_metric_history(run.info.run_id, key)) == 1, key


def test_everything_else_is_there_too(tracked, saerl_home):
    client, run = tracked
    assert run.info.status == "FINISHED"
    assert run.data.params["training.seed"] == "41"
    assert run.data.params["changed.training.seed"] == "41"
    assert {"git_sha", "plan_hash", "sae_id", "saerl.strategy", "saerl.seed"} <= set(run.data.tags)
    names = {
        "config.json",
        "diagnostics.json",
        "plan.parquet",
        "plan_decisions.parquet",
        "plan.json",
        "costs.csv",
        "prompt_issues.csv",
    }
    assert {f.path: f.file_size for f in client.list_artifacts(run.info.run_id)} == {
        "report.html": (saerl_home / "report.html").stat().st_size,
        **{name: (saerl_home / "last_run" / name).stat().st_size for name in names},
    }
    assert len(run.inputs.dataset_inputs) == 1
    assert not (saerl_home / "tracking" / run.info.run_id).exists(), "something still waits"
