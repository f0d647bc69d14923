"""`make server` as a person meets it: what it prints, who may reach it, who uses it, and that Ctrl-C ends all of it."""

import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import psutil
import pytest

from pipelines.servers import answers
from tests.local_servers import ROOT, LocalServers

pytestmark = pytest.mark.slow
WHERE = "import pipelines.setup as s; print('logs to', s.active_tracker_uri())"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    servers = LocalServers(folder / "home", folder).start()
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
