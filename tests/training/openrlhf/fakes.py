"""An interpreter that is none: it answers the probe and runs the fake trainer in place of OpenRLHF's launcher."""

import sys
from pathlib import Path

FAKE_TRAINER = Path(__file__).with_name("fake_trainer.py")
LOOK_S = 0.005  # between two looks for a file of the other side


def fake_python(folder: Path, version: str | None = "0.11.2") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "python"
    found = "null" if version is None else f'"{version}"'
    python.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = -c ]; then\n'
        f"  echo '{{\"openrlhf\": {found}}}'\n"
        'elif [ "$1" = -P ]; then\n'  # a program by its path
        f'  exec "{sys.executable}" "$@"\n'
        "else\n"
        "  shift 2\n"
        f'  exec env LOOK_S={LOOK_S} "{sys.executable}" "{FAKE_TRAINER}" "$@"\n'
        "fi\n"
    )
    python.chmod(0o755)
    return python


def openrlhf_settings(interpreter: Path, fake: str = "", **changes) -> dict:
    """Settings of TrainingConfig for the fake trainer: 2 GPUs that nobody asks for, a micro-batch of 2."""
    inner = {
        "python": str(interpreter),
        "gpus_per_node": 2,
        "train_micro_batch": 2,
        "rollout_micro_batch": 4,
        "env": {"FAKE": fake},
        **changes,
    }
    return {"backend": "openrlhf", "openrlhf": inner}
