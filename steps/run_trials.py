"""Train every arm of a comparison with every seed, in worker processes; what is finished is never repeated."""

import logging
import time
from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.compare.tables import to_tables
from saerl_core.config.run import RunConfig
from saerl_core.records import ControlFeatures, PassRatesReport, PolicyRef, SaeFeatures, SaeRef
from saerl_core.trials.folders import read_trial
from saerl_core.trials.pool import Progress
from saerl_core.trials.pool import run_trials as run_them
from steps._spaces import PoolRead
from steps._trials import Pool, trial_folders
from tracking.runtime import stage

logger = logging.getLogger("saerl")
_SECONDS_BETWEEN_LINES = 15.0


@step(experiment_tracker=True, enable_cache=False)
def run_trials(
    prompts: pd.DataFrame,
    held_out: pd.DataFrame,
    quality: pd.DataFrame,
    clusters: pd.DataFrame,
    difficulty: pd.DataFrame,
    features: SaeFeatures,
    controls: ControlFeatures,
    policy: PolicyRef,
    sae: SaeRef,
    config: RunConfig,
    pass_rates: pd.DataFrame | None = None,
    pass_rates_report: PassRatesReport | None = None,
) -> tuple[
    Annotated[pd.DataFrame, "trial_curves"],
    Annotated[pd.DataFrame, "trial_items"],
    Annotated[pd.DataFrame, "trial_shares"],
    Annotated[pd.DataFrame, "trial_failures"],
]:
    """Run what is not finished; a trial that fails is a row, and the others go on."""
    with stage("run_trials", torch_threads=config.torch_threads):
        read = PoolRead(prompts, features, controls, policy, sae, pass_rates)
        signals = {"quality": quality, "clusters": clusters, "difficulty": difficulty}
        folders = trial_folders(Pool(read, signals, held_out, pass_rates_report), config)
        n_before = sum(read_trial(folder) is not None for folder in folders)
        if n_before:
            logger.info(
                "%s of %s trials were finished by an earlier start and are not repeated", n_before, len(folders)
            )
        outcome = run_them(folders, config.compare.workers, _Lines())
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
