"""The servers of this machine: MLflow on the local database and the ZenML dashboard, both on loopback only.

Both look at the same SQLite files that a run without servers writes, so a run needs neither of them, and nothing has to
be moved when they start or stop. While they run, the local stack logs through MLflow's server (`use_running_servers`).
The dashboard only reads along: ZenML's own `zenml login --local` would make every later `zenml` command need it.
"""

import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from saerl_core.environment import state_dir
from saerl_core.errors import BackendError, ConfigError

HOST = "127.0.0.1"
MLFLOW_PORT, DASHBOARD_PORT = 5000, 8237
_START_S, _STOP_S = 180.0, 10.0


@dataclass(frozen=True)
class Running:
    """The servers that `serve` has started; `dashboard` is empty without one."""

    mlflow: str
    dashboard: str
    mlflow_pid: int


def running() -> Running | None:
    """Return the servers of this state folder; None when MLflow's does not run, or does not answer."""
    try:
        found = Running(**json.loads(_address_file().read_text()))
        os.kill(found.mlflow_pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return found if answers(found.mlflow, timeout_s=2.0) else None


def answers(address: str, timeout_s: float) -> bool:
    """Return whether a server answers on http: a refusal such as 401 or 404 is an answer too."""
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=timeout_s):  # noqa: S310 (http or https)
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError, http.client.HTTPException):  # nobody, no address, or nobody who speaks http
        return False


def mlflow_command(database: str, port: int) -> list[str]:
    """Return the command of an MLflow server on loopback."""
    files = str(state_dir() / "mlflow_artifacts")
    store = ["--backend-store-uri", database, "--artifacts-destination", files]
    return [sys.executable, "-m", "mlflow", "server", *store, "--workers", "1", "--host", HOST, "--port", str(port)]


def mlflow_environment() -> dict[str, str]:
    """Return the variables of MLflow's server: without its workers for LLM traces, nine processes that nothing uses."""
    return {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def dashboard_command(port: int) -> list[str]:
    """Return the command of the ZenML dashboard on loopback."""
    app = "zenml.zen_server.zen_server_api:app"
    return [sys.executable, "-m", "uvicorn", app, "--host", HOST, "--port", str(port), "--no-server-header"]


def dashboard_environment(port: int) -> dict[str, str]:
    """Return the variables of the dashboard: the stores of this state folder, a configuration of its own, no login."""
    return {
        "ZENML_SERVER": "true",
        "ZENML_CONFIG_PATH": str(state_dir() / "zenml" / "server"),
        "ZENML_LOCAL_STORES_PATH": os.environ["ZENML_LOCAL_STORES_PATH"],
        "ZENML_SERVER_ALLOW_LOCAL_FILE_ACCESS": "true",  # the artifact store is a folder
        "ZENML_SERVER_AUTH_SCHEME": "NO_AUTH",
        # ZenML's default lets every web page that is open in the browser read and change everything here
        "ZENML_SERVER_CORS_ALLOW_ORIGINS": f"http://{HOST}:{port}",
        "ZENML_SERVER_DEPLOYMENT_TYPE": "local",
        "ZENML_SERVER_AUTO_ACTIVATE": "true",
        "ZENML_DISABLE_DATABASE_MIGRATION": "true",
        "ZENML_ANALYTICS_OPT_IN": "false",
    }


def serve(database: str, mlflow_port: int, dashboard_port: int | None, say: Callable[[str], None]) -> None:
    """Run the servers until Ctrl-C, SIGTERM or SIGHUP; `dashboard_port` None leaves the dashboard out.

    Raises:
        ConfigError: If a port is taken, servers of this state folder run already, or the dashboard is not installed.
        BackendError: If a server does not start, or ends by itself.
    """
    _refuse(mlflow_port, dashboard_port)
    servers: dict[str, subprocess.Popen[bytes]] = {}
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must not leave servers behind
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    say(f"starting, which takes up to a minute; logs in {state_dir() / 'servers'}")
    addresses = {"mlflow": f"http://{HOST}:{mlflow_port}"}
    try:
        servers["mlflow"] = _start("mlflow", mlflow_command(database, mlflow_port), mlflow_environment())
        if dashboard_port is not None:
            addresses["dashboard"] = f"http://{HOST}:{dashboard_port}"
            servers["dashboard"] = _start(
                "dashboard", dashboard_command(dashboard_port), dashboard_environment(dashboard_port)
            )
        _wait_for(servers, addresses)
        found = Running(addresses["mlflow"], addresses.get("dashboard", ""), servers["mlflow"].pid)
        _address_file().write_text(json.dumps(asdict(found)))
        for name, address in addresses.items():
            say(f"{name + ':':10} {address}")
        say("runs of the stack 'saerl' log through this server now; Ctrl-C stops it, and they go on without")
        while all(server.poll() is None for server in servers.values()):
            time.sleep(0.5)
        raise _ended(servers)
    except KeyboardInterrupt:
        say("stopping")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a second Ctrl-C would leave servers behind
            signal.signal(number, signal.SIG_IGN)
        _address_file().unlink(missing_ok=True)
        _stop(list(servers.values()))


def _refuse(mlflow_port: int, dashboard_port: int | None) -> None:
    found = running()
    if found is not None:
        addresses = " and ".join(filter(None, (found.mlflow, found.dashboard)))
        raise ConfigError(
            f"the servers of {state_dir()} run already, at {addresses}; use them, or stop them there first"
        )
    if dashboard_port is not None and importlib.util.find_spec("secure") is None:  # needed by nothing else
        raise ConfigError(
            "the ZenML dashboard is not installed here; pip install 'saerl[server]' with constraints.txt, or start "
            "MLflow alone with --no-dashboard"
        )
    for option, port in (("--port", mlflow_port), ("--dashboard-port", dashboard_port)):
        if port is not None:
            require_free(port, option)


def require_free(port: int, option: str) -> None:
    """Raise `ConfigError` where somebody listens on a port of this machine; `option` sets another one."""
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise ConfigError(f"port {port} on {HOST} is taken; stop what listens there, or choose {option}")


def _start(name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    folder = state_dir() / "servers"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _wait_for(servers: dict[str, subprocess.Popen[bytes]], addresses: dict[str, str]) -> None:
    deadline = time.monotonic() + _START_S
    while not all(answers(address, timeout_s=2.0) for address in addresses.values()):
        if any(server.poll() is not None for server in servers.values()):
            raise _ended(servers)
        if time.monotonic() > deadline:
            raise BackendError(f"the servers did not answer within {_START_S:g} s; see {state_dir() / 'servers'}")
        time.sleep(0.2)


def _ended(servers: dict[str, subprocess.Popen[bytes]]) -> BackendError:
    name, code = next((name, server.poll()) for name, server in servers.items() if server.poll() is not None)
    log = state_dir() / "servers" / f"{name}.log"
    lines: list[str] = log.read_text(errors="replace").strip().splitlines()
    return BackendError(f"the {name} server ended with exit code {code} ({lines[-1] if lines else 'no output'}); {log}")


def _stop(servers: list[subprocess.Popen[bytes]]) -> None:
    """End servers and their workers together: politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _STOP_S
        for server in servers:
            with suppress(ProcessLookupError):  # the group of a server has the server's number
                os.killpg(server.pid, number)
        for server in servers:
            with suppress(subprocess.TimeoutExpired):
                server.wait(max(0.0, deadline - time.monotonic()))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _address_file() -> Path:
    return state_dir() / "servers.json"
