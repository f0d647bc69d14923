"""One trial of a comparison as a step of its own: on a cluster a pod with its GPUs."""

import logging
from pathlib import Path

import pandas as pd
from zenml import step

from saerl_core.trials.run import attempt
from tracking.runtime import stage

logger = logging.getLogger("saerl")


@step(experiment_tracker=True, enable_cache=False)
def run_trial(folders: pd.DataFrame, arm: str, seed: int, torch_threads: int) -> None:
    """Train and score one arm with one seed; a finished trial is not repeated, a killed one goes on where it stopped.

    A trial that fails leaves its reason in its folder and the others go on.
    """
    with stage("run_trial", torch_threads=torch_threads):
        [folder] = folders.loc[(folders["arm"] == arm) & (folders["seed"] == seed), "folder"]
        reason = attempt(Path(folder))
    if reason is not None:
        logger.error("arm '%s', seed %s: %s", arm, seed, reason)
