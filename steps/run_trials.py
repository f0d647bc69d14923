"""Train every arm of a comparison with every seed, in worker processes; what is finished is never repeated."""

import logging
import time
from pathlib import Path
from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.compare.tables import to_tables
from saerl_core.trials.folders import read_trial
from saerl_core.trials.pool import Progress
from saerl_core.trials.pool import run_trials as run_them
from tracking.runtime import stage

logger = logging.getLogger("saerl")
_SECONDS_BETWEEN_LINES = 15.0


@step(experiment_tracker=True, enable_cache=False)
def run_trials(
    folders: pd.DataFrame, workers: int, torch_threads: int
) -> tuple[
    Annotated[pd.DataFrame, "trial_curves"],
    Annotated[pd.DataFrame, "trial_items"],
    Annotated[pd.DataFrame, "trial_shares"],
    Annotated[pd.DataFrame, "trial_failures"],
]:
    """Run what is not finished, `workers` at a time; a trial that fails is a row, and the others go on."""
    with stage("run_trials", torch_threads=torch_threads):
        paths = [Path(folder) for folder in folders["folder"]]
        n_before = sum(read_trial(path) is not None for path in paths)
        if n_before:
            logger.info("%s of %s trials were finished by an earlier start and are not repeated", n_before, len(paths))
        outcome = run_them(paths, workers, _Lines())
        tables = to_tables(outcome.trials, [(f.arm, f.seed, f.reason) for f in outcome.failures])
    return tables.curves, tables.items, tables.shares, tables.failures


class _Lines:
    """Says how far the trials are: at every end of one, else every quarter of a minute."""

    def __init__(self) -> None:
        self._last, self._said = 0.0, -1

    def __call__(self, progress: Progress) -> None:
        ended, now = progress.n_done + progress.n_failed, time.monotonic()
        if ended != self._said or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last, self._said = now, ended
            logger.info("%s", progress)
