"""The servers of `make server` on free ports, in a process of their own, for the state folder that a test names."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.mlflow_server import free_port

ROOT = Path(__file__).resolve().parents[1]


class LocalServers:
    """Starts `python -m pipelines server`, and stops it as a person does: with Ctrl-C."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.log = home, folder / "server.log"
        self.mlflow_port, self.dashboard_port = free_port(), free_port()
        self.mlflow = f"http://127.0.0.1:{self.mlflow_port}"
        self.dashboard = f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ZENML_", "MLFLOW_"))}
        return {**clean, "SAERL_HOME": str(self.home)}

    @property
    def command(self) -> list[str]:
        ports = ["--port", str(self.mlflow_port), "--dashboard-port", str(self.dashboard_port)]
        return [sys.executable, "-m", "pipelines", "server", *ports]

    def start(self, timeout_s: float = 240.0) -> "LocalServers":
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout_s
        while "Ctrl-C" not in self.said():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"no servers: {self.said()[-2000:]}")
            time.sleep(0.2)
        return self

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)
