"""Who ran what and when: the head of every page, and the name of its files."""

import re
from datetime import UTC, datetime
from importlib.metadata import version

from saerl_core.report.inputs import RunFacts
from tracking import runtime

_PACKAGES = ("saerl", "torch", "transformers", "trl", "sae-lens", "scikit-learn", "zenml", "mlflow")


def run_facts() -> RunFacts:
    """Return the facts of the running step."""
    return RunFacts(
        run_name=runtime.run_name(),
        created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        git_sha=runtime.git_sha(),
        command=runtime.command_line(),
        versions={name: version(name) for name in _PACKAGES},
        mlflow_run=runtime.mlflow_run_name(),
    )


def file_name(run_name: str) -> str:
    """Return a run's name with _ for what a file name may not hold everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", run_name)
