"""Seconds and memory of whole runs: cold, again with nothing changed, and the curation of real prompts.

    .venv/bin/python benchmarks/whole_run.py [-c configs/curate_math.yaml]

Each run is the literal `zenml pipeline run saerl` with a fresh state folder. Bars (2 cores, nothing else running): cold
<= 600 s, again <= 60 s; curate_math <= 900 CPU-seconds and <= 4 GiB peak memory.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Run a command and return wall seconds, CPU seconds and the peak memory of its largest process in GiB."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss / 2**20


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--config", help="run file; the embedded default without it")
    arguments = parser.parse_args()
    command = ["zenml", "pipeline", "run", "saerl", *(["-c", arguments.config] if arguments.config else [])]
    with tempfile.TemporaryDirectory(prefix="saerl-benchmark-") as home:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("ZENML_", "MLFLOW_"))}
        environment |= {"SAERL_HOME": home, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        subprocess.run([sys.executable, "-m", "pipelines", "setup"], cwd=ROOT, env=environment, check=True)
        for name in ("cold", "again"):
            wall, cpu, memory = timed(command, environment)
            print(f"{name:6} wall {wall:7.1f} s   CPU {cpu:7.1f} s   peak memory {memory:5.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
