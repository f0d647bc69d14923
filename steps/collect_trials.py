"""Gather the trials that were steps of their own into the tables that a comparison is made from."""

from pathlib import Path
from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.compare.tables import to_tables
from saerl_core.trials.pool import outcome_of
from tracking.runtime import stage


@step(experiment_tracker=True, enable_cache=False)
def collect_trials(
    folders: pd.DataFrame,
) -> tuple[
    Annotated[pd.DataFrame, "trial_curves"],
    Annotated[pd.DataFrame, "trial_items"],
    Annotated[pd.DataFrame, "trial_shares"],
    Annotated[pd.DataFrame, "trial_failures"],
]:
    """Read every folder; a trial without a result is a row with its reason."""
    with stage("collect_trials"):
        outcome = outcome_of([Path(folder) for folder in folders["folder"]])
        tables = to_tables(outcome.trials, [(f.arm, f.seed, f.reason) for f in outcome.failures])
    return tables.curves, tables.items, tables.shares, tables.failures
