"""A real MLflow server on loopback: SQLite behind it, in a process of its own, started and stopped at will."""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path


class MlflowServer:
    """Starts and stops `mlflow server`; the address and the data stay the same over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 180.0) -> "MlflowServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
                | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no MLflow server: {(self.folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.2)
        return self

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()  # the master stops its workers
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)  # a session of its own: nobody else is in it
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Kill the server and its workers at once, as a lost machine would."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and its workers: SIGSTOP makes it hang, SIGCONT wakes it up."""
        if self._process is not None:
            os.killpg(self._process.pid, number)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False


def register_stack(uri: str, name: str) -> str:
    """Register a stack like the local one, with the server as its tracker; returns its name."""
    from zenml.client import Client
    from zenml.enums import StackComponentType

    client = Client()
    client.create_stack_component(
        name=f"{name}_tracker",
        flavor="mlflow",
        component_type=StackComponentType.EXPERIMENT_TRACKER,
        configuration={"tracking_uri": uri, "tracking_token": "unused"},  # ZenML asks for one, the server does not
    )
    default = client.get_stack("default").components
    kinds = (StackComponentType.ORCHESTRATOR, StackComponentType.ARTIFACT_STORE)
    components = {kind: default[kind][0].id for kind in kinds}
    client.create_stack(name, {**components, StackComponentType.EXPERIMENT_TRACKER: f"{name}_tracker"})
    return name


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on, below those that systems and Ray hand out by themselves."""
    return free_ports(1)[0]


def free_ports(n: int) -> list[int]:
    """Return such ports, all different."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(20_000, 32_000), 50):
        with socket.socket() as s, suppress(OSError):
            s.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == n:
            return found
    raise RuntimeError(f"of 50 random ports between 20000 and 32000 only {len(found)} are free")
