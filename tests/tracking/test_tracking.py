"""Delivery to a real MLflow server that stops answering, dies and comes back."""

import signal
import time
from collections import Counter

import pytest

from tests.mlflow_server import MlflowServer
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS
from tracking.journal import Record

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MlflowServer(tmp_path_factory.mktemp("server")).start()
    yield server
    server.kill()


@pytest.fixture
def tracked(server, monkeypatch, tmp_path):
    """An MLflow client and the id of the active run, as inside a step."""
    import mlflow

    monkeypatch.setenv("SAERL_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    if not server.answers():
        server.start()
    mlflow.set_tracking_uri(server.uri)
    # by id: a pipeline that ran in this process before leaves its experiment active, and this server does not have it
    with mlflow.start_run(experiment_id="0") as run:
        yield mlflow.MlflowClient(server.uri), run.info.run_id
        if not server.answers():
            server.start()
    mlflow.set_tracking_uri("")


def log(steps):
    from tracking import delivery as tracking

    tracking.record([Record("metric", "train/reward_mean", step / 10, step, curve=True) for step in steps])


def history(client, run_id):
    return Counter(m.step for m in client.get_metric_history(run_id, "train/reward_mean"))


def test_everything_that_a_run_logs_arrives_and_the_journal_goes(tracked, tmp_path):
    from tracking import delivery as tracking
    from tracking import runtime

    client, run_id = tracked
    page = tmp_path / "page.html"
    page.write_text("<p>report</p>")
    with tracking.buffer(wait_s=30, last=True):
        runtime.log_training_step(0, {"reward_mean": 0.5, "kl": float("nan")})
        runtime.log_summary({"gain": 3}, {256: 0.25}, {"plan_hash": "abc"}, [page])
        tracking.record([Record("param", "seed", "0")])
    run = client.get_run(run_id).data
    assert run.metrics == {"train/reward_mean": 0.5, "answer/gain": 3.0, "curve/accuracy": 0.25}
    assert (run.tags["plan_hash"], run.params["seed"]) == ("abc", "0")
    assert [f.path for f in client.list_artifacts(run_id)] == ["page.html"]
    assert not (tmp_path / "tracking" / run_id).exists()


def test_the_trials_of_one_run_keep_all_their_curves_and_files(tracked, tmp_path):
    from tracking import delivery as tracking
    from tracking import runtime

    client, run_id = tracked
    log_file = tmp_path / "trainer.log"
    with tracking.buffer(wait_s=30):
        for value, name in ((0.1, ""), (0.2, "vanilla-s1"), (0.3, "saerl-s1")):
            log_file.write_text(name)
            with tracking.trial(name), runtime.kept_files(lambda: [log_file]):
                for step in range(3):
                    runtime.log_training_step(step, {"reward_mean": value + step})
                runtime.log_training_step(0, {"reward_mean": 9.0})  # cached, or done before a resume
    for value, prefix in ((0.1, ""), (0.2, "vanilla-s1/"), (0.3, "saerl-s1/")):
        found = {m.step: m.value for m in client.get_metric_history(run_id, f"{prefix}train/reward_mean")}
        assert found == {step: value + step for step in range(3)}
    files = {f.path for folder in ("", "vanilla-s1", "saerl-s1") for f in client.list_artifacts(run_id, folder)}
    assert {"trainer.log", "vanilla-s1/trainer.log", "saerl-s1/trainer.log"} <= files


@pytest.mark.parametrize("name", ["a b", "../x", "/", "-x", "a/b"])
def test_a_trial_that_no_metric_can_be_named_after_is_refused(name):
    from saerl_core.errors import ConfigError
    from tracking import delivery as tracking

    with pytest.raises(ConfigError, match="trial's name"), tracking.trial(name):
        pass


def test_a_server_that_hangs_neither_holds_the_step_nor_gets_anything_twice(server, tracked):
    from tracking import delivery as tracking

    client, run_id = tracked
    with tracking.buffer(wait_s=0.5) as buffer:
        log(range(3))
        assert _until(lambda: buffer.n_pending == 0)
        server.signal(signal.SIGSTOP)
        started = time.monotonic()
        log(range(3, 40))
        assert time.monotonic() - started < 1
        time.sleep(1)  # the request is on its way: the server will execute it when it wakes up
    assert time.monotonic() - started < 30
    assert buffer.n_pending == 37
    server.signal(signal.SIGCONT)
    assert _until(server.answers)
    assert [(one.n_delivered, one.n_left) for one in tracking.deliver_leftovers(server.uri, 60)] == [(37, 0)]
    assert history(client, run_id) == Counter(range(40))


def test_a_server_that_died_gets_everything_at_the_next_step(server, tracked, tmp_path, caplog, monkeypatch):
    client, run_id = tracked
    monkeypatch.setattr("tracking.delivery.STEP_WAIT_S", 2.0)
    log([0])
    server.kill()
    log(range(1, 5))  # waits at its end, as a step does
    assert "python -m pipelines deliver" in caplog.text
    server.start()
    log([5])
    assert history(client, run_id) == Counter(range(6))
    for file in (tmp_path / "tracking" / run_id).glob("*"):  # another machine: it knows nothing of this journal
        file.unlink()
    log(range(8))
    assert history(client, run_id) == Counter(range(8))


def test_a_parameter_that_changed_is_refused_alone(tracked, tmp_path):
    from tracking import delivery as tracking

    client, run_id = tracked
    with tracking.buffer(wait_s=30):
        tracking.record([Record("param", "seed", "0")])
        tracking.record([Record("param", "seed", "1"), Record("tag", "later", "yes")])
    run = client.get_run(run_id).data
    assert run.params["seed"] == "0"
    assert run.tags["later"] == "yes"
    assert "seed" in (tmp_path / "tracking" / run_id / "rejected.jsonl").read_text()


def test_the_patience_of_zenml_is_back_after_the_step(tracked, monkeypatch):
    import os

    from saerl_core.errors import ConfigError
    from tracking import delivery as tracking

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "10")
    with tracking.buffer():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "10"
    monkeypatch.setenv("SAERL_TRACKING_WAIT_S", "soon")
    with pytest.raises(ConfigError, match="SAERL_TRACKING_WAIT_S is 'soon'"), tracking.buffer():
        pass


def _until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


@pytest.mark.parametrize(("trial", "name"), [("", "plan_batches"), ("control", "plan_control")])
def test_a_note_is_said_under_the_name_that_the_page_gives_the_stage(monkeypatch, caplog, trial, name):
    from saerl_core.records import PlanReport
    from tracking import runtime

    monkeypatch.setattr(runtime, "log_metadata", lambda values: None)
    with caplog.at_level("INFO", logger=runtime.logger.name):
        runtime.track("plan_batches", PlanReport(stage="plan", notes=("two epochs",)), trial=trial)
    assert f"note ({name}): two epochs" in caplog.text
