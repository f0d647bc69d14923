"""`make server` as a person uses it: what it says and who may reach it, two runs, MLflow's comparison, ZenML's picture.

Its end, by Ctrl-C, is the last test that needs it. The screenshots lie in reports/screens/ afterwards.
"""

import copy
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from urllib.parse import quote

import psutil
import pytest

from pipelines.servers import answers
from tests.browser import Browser, chromium_binary
from tests.local_servers import ROOT, LocalServers
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]
SCREENS = ROOT / "reports" / "screens"
WHERE = "import pipelines.setup as s; print('logs to', s.active_tracker_uri())"


@pytest.fixture(scope="module")
def servers(local_stack, saerl_home, tmp_path_factory):
    servers = LocalServers(saerl_home, tmp_path_factory.mktemp("servers")).start()
    yield servers
    servers.stop()


def _where(servers):
    """Return where a run of a fresh process would log."""
    program = f"from saerl_core.environment import apply; apply(); {WHERE}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=servers.environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1].removeprefix("logs to ")


def _family(servers):
    parent = psutil.Process(servers.process.pid)
    return [parent, *parent.children(recursive=True)]


def test_it_says_where_both_servers_are_and_they_answer(servers):
    for address in (servers.mlflow, servers.dashboard):
        assert address in servers.said()
        with urllib.request.urlopen(address, timeout=30) as page:
            assert "<!doctype html>" in page.read().decode().lower()


def test_everything_listens_on_loopback_only(servers):
    heard = [c.laddr for p in _family(servers) for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {(c.ip, c.port) for c in heard} == {
        ("127.0.0.1", servers.mlflow_port),
        ("127.0.0.1", servers.dashboard_port),
    }


def test_a_page_from_elsewhere_in_the_same_browser_may_not_read_the_dashboard(servers):
    for origin, may in (("http://elsewhere.example", False), (servers.dashboard, True)):
        request = urllib.request.Request(f"{servers.dashboard}/api/v1/info", headers={"Origin": origin})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert (answer.headers.get("Access-Control-Allow-Origin") in ("*", origin)) == may


def test_second_servers_for_one_state_folder_are_refused(servers):
    other = LocalServers(servers.home, servers.home)
    done = subprocess.run(
        other.command, cwd=ROOT, env=other.environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert f"run already, at {servers.mlflow} and {servers.dashboard}" in done.stderr
    assert "Traceback" not in done.stderr


def _where_this_process_logs():
    from zenml.client import Client

    from pipelines.setup import use_running_servers

    use_running_servers()
    return Client().active_stack.experiment_tracker.config.tracking_uri


def test_a_process_follows_the_server_to_which_another_one_has_pointed_the_stack(servers):
    """ZenML keeps the stack of this process in memory."""
    assert _where(servers) == servers.mlflow
    assert _where_this_process_logs() == servers.mlflow


@pytest.fixture(scope="module")
def runs(servers):
    """The same small pool with two strategies, logged through the server."""
    from pipelines.training import saerl_pipeline

    runs = {}
    for strategy in ("saerl", "vanilla"):
        parameters = copy.deepcopy(SMALL)
        parameters["plan"]["strategy"] = strategy
        parameters["training"] = {**parameters["training"], "seed": 43}
        runs[strategy] = saerl_pipeline(**parameters)
    return runs


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium_binary()  # or skip
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def tracked(servers, runs):
    """The MLflow runs by strategy, as the server gives them."""
    import mlflow

    client = mlflow.MlflowClient(servers.mlflow)
    experiment = client.get_experiment_by_name("saerl")
    found = client.search_runs([experiment.experiment_id], "params.`training.seed` = '43'")
    by_name = {run.info.run_name: run for run in found}
    return {strategy: by_name[run.name] for strategy, run in runs.items()}


def test_the_local_stack_logs_through_the_server(runs, tracked):
    from zenml.client import Client

    assert Client().active_stack.experiment_tracker.config.tracking_uri.startswith("http://127.0.0.1:")
    assert all(str(run.status) == "completed" for run in runs.values())
    assert len({run.info.run_id for run in tracked.values()}) == 2
    for strategy, run in tracked.items():
        assert run.info.run_name.startswith(f"{strategy}-s43-"), "each call in one process has its own name"


def test_mlflow_compares_two_runs(servers, tracked, browser):
    ids = [run.info.run_id for run in tracked.values()]
    experiment = tracked["saerl"].info.experiment_id
    where = f"runs={quote(json.dumps(ids))}&experiments={quote(json.dumps([experiment]))}"
    browser.open(f"{servers.mlflow}/#/compare-runs?{where}")
    # of the long table of metrics the page holds only what is in sight
    text = browser.wait_for("Comparing 2 Runs", "plan.strategy\tsaerl\tvanilla", "Metrics", "answer/accuracy_after")
    assert all(run.info.run_name in text for run in tracked.values())
    browser.screenshot(SCREENS / "mlflow_compare.png")


def test_mlflow_draws_the_metrics_of_both(servers, tracked, browser):
    experiment = tracked["saerl"].info.experiment_id
    browser.open(f"{servers.mlflow}/#/experiments/{experiment}/runs?compareRunsMode=CHART")
    browser.wait_for("answer/accuracy_after", *(run.info.run_name for run in tracked.values()))
    browser.type("input[placeholder*='metric charts']", "train/reward_mean")
    browser.wait_until("!document.body.innerText.includes('answer/accuracy_after')")
    browser.wait_for("train/reward_mean", "train\n(1)")
    browser.wait_until("document.querySelectorAll('.main-svg, canvas').length > 0")
    browser.screenshot(SCREENS / "mlflow_charts.png")


@pytest.fixture(scope="module")
def compared(servers, runs):
    """A comparison of two arms and two seeds on the same pool: its name, and its trials by name."""
    import mlflow

    from pipelines.comparing import compare_pipeline

    parameters = copy.deepcopy(SMALL)
    arms = [{"name": "vanilla", "plan": {"strategy": "vanilla"}}, {"name": "ours", "plan": {"strategy": "saerl"}}]
    sizes = {"budget_rollouts": 128, "n_evaluations": 2, "n_samples": 2, "workers": 1}
    parameters["compare"] = {"arms": arms, "seeds": [0, 1], **sizes}
    run = compare_pipeline(**parameters)
    client = mlflow.MlflowClient(servers.mlflow)
    experiment = client.get_experiment_by_name("compare").experiment_id
    trials = client.search_runs([experiment], f"tags.`saerl.comparison` = '{run.name}' AND tags.`saerl.arm` != ''")
    return run.name, {trial.info.run_name: trial for trial in trials}


def test_mlflow_draws_the_curves_of_all_trials_without_a_click(compared, servers, browser, monkeypatch):
    import mlflow

    from tracking.children import charts_address

    name, trials = compared
    assert set(trials) == {"vanilla-s0", "vanilla-s1", "ours-s0", "ours-s1"}
    monkeypatch.setattr(mlflow, "active_run", lambda: trials["ours-s0"])
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: servers.mlflow)
    browser.open(charts_address(name))
    browser.wait_for("answer/accuracy_after", *trials)
    assert name not in browser.text(), "the comparison's own run has no such curve"
    # below the headline, and drawn when it comes into sight
    browser.wait_until(
        """(section => section && (section.scrollIntoView(), true))([...document.querySelectorAll(
            '[data-testid="experiment-view-compare-runs-section-header"]'
        )].find(s => s.innerText.startsWith('curve')))"""
    )
    shown = browser.wait_until(
        """(card => card && card.querySelector('.scatterlayer .trace') && card.innerText)([...document.querySelectorAll(
            '[data-testid="experiment-view-compare-runs-card"]')].find(c => c.innerText.includes('curve/accuracy')))"""
    )
    lines = shown.splitlines()
    assert {line for line in lines if line.endswith(" (curve/accuracy)")} == {f"{t} (curve/accuracy)" for t in trials}
    assert {"Step", "100"} <= set(lines), "the axis counts rollouts: 32 a step, and four steps"
    browser.screenshot(SCREENS / "mlflow_comparison_charts.png")


def test_mlflow_draws_every_trial_however_many_on_one_page(compared, servers, browser, monkeypatch):
    import mlflow

    from tracking.children import curve_address

    _, trials = compared
    monkeypatch.setattr(mlflow, "active_run", lambda: trials["ours-s0"])
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: servers.mlflow)
    browser.open(curve_address([trial.info.run_id for trial in trials.values()]))
    shown = browser.wait_for("Comparing 4 Runs", "4/4", "Step", *(f"{name} (curve/accuracy)" for name in trials))
    legend = {line for line in shown.splitlines() if line.endswith(" (curve/accuracy)")}
    assert legend == {f"{name} (curve/accuracy)" for name in trials}
    assert browser.wait_until("document.querySelectorAll('.scatterlayer .trace').length") >= len(trials)
    browser.screenshot(SCREENS / "mlflow_comparison_curve.png")


def test_mlflow_compares_the_trials_without_a_click(compared, servers, browser):
    _, trials = compared
    ids = [trial.info.run_id for trial in trials.values()]
    experiment = trials["ours-s0"].info.experiment_id
    where = f"runs={quote(json.dumps(ids))}&experiments={quote(json.dumps([experiment]))}"
    browser.open(f"{servers.mlflow}/#/compare-runs?{where}")
    text = browser.wait_for("Comparing 4 Runs", "curve/accuracy", "answer/accuracy_after", *trials)
    assert "arm\t" in text
    browser.screenshot(SCREENS / "mlflow_comparison_runs.png")


def test_mlflow_shows_the_report_among_the_artifacts(servers, tracked, browser):
    run = tracked["saerl"]
    browser.open(
        f"{servers.mlflow}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/report.html"
    )
    text = browser.wait_for(
        "saerl run report", run.info.run_name, "Planned order was trained: 4 of 4 batches identical"
    )
    assert "plan_decisions.parquet" in text
    browser.screenshot(SCREENS / "mlflow_report.png")


def test_zenml_draws_the_run(servers, runs, browser):
    run = runs["saerl"]
    browser.open(f"{servers.dashboard}/projects/default/runs/{run.id}")
    browser.wait_for("load_prompts", run.name, "Total Steps", "Completed")
    browser.wait_until("document.querySelectorAll('.react-flow__node').length > 0")  # only what is in view is drawn
    browser.evaluate("document.querySelector('[aria-label=\"Fit view\"]').click()")
    text = browser.wait_for(*run.steps)
    assert "trained_policy" in text
    browser.screenshot(SCREENS / "zenml_run.png")


def test_the_local_stack_logs_through_the_server_until_ctrl_c_which_leaves_no_process(servers):
    assert _where(servers) == servers.mlflow
    family = _family(servers)
    assert len(family) == 4, "the command, MLflow and its worker, the dashboard"
    for _ in range(2):  # people press it twice
        servers.process.send_signal(signal.SIGINT)
    assert servers.process.wait(60) == 0
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert servers.said().rstrip().endswith("stopping")
    assert _where(servers).startswith("sqlite:///")
    assert _where_this_process_logs().startswith("sqlite:///"), "it follows back, too"


def test_a_port_that_speaks_no_http_is_no_server():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def babble():
            caller, _ = listening.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(b"\x00\x12 no http\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        assert not answers(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout_s=5)
        thread.join()
