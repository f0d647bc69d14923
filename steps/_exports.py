"""Where the exported plans of the running pipeline run lie for a person who does not open ZenML."""

import shutil
from pathlib import Path

from saerl_core.environment import state_dir
from saerl_core.records import ExportedPlans
from steps._facts import file_name
from tracking import runtime


def run_folder() -> Path:
    """Return the folder of this run's exports."""
    return state_dir() / "exports" / file_name(runtime.run_name())


def kept(exported: ExportedPlans | None) -> dict[str, str]:
    """Return by format the folder of this run; those that came from the cache are copied out of the store."""
    if exported is None:
        return {}
    target = run_folder()
    for name in exported.formats:
        if not (target / name).is_dir():
            shutil.copytree(exported.folder / name, target / name)
    return {name: str(target / name) for name in exported.formats}
