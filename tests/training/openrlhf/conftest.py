import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def openrlhf_python() -> Path:
    """The interpreter that runs OpenRLHF on a CPU: $SAERL_OPENRLHF_PYTHON, or what `make openrlhf-cpu-env` built."""
    root = Path(__file__).resolve().parents[3]
    python = Path(os.environ.get("SAERL_OPENRLHF_PYTHON") or root / ".venv-openrlhf" / "bin" / "python")
    if not python.is_file():
        pytest.skip(f"{python} is absent: make openrlhf-cpu-env")
    return python
