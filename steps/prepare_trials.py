"""Plan the trials of a comparison: a folder each, which worker processes or steps of their own take up."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import RunConfig
from saerl_core.records import ControlFeatures, PassRatesReport, PolicyRef, SaeFeatures, SaeRef
from saerl_core.trials.folders import read_job
from steps._spaces import PoolRead
from steps._trials import Pool, trial_folders
from tracking.runtime import stage


@step(experiment_tracker=True, enable_cache=False)
def prepare_trials(
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
) -> Annotated[pd.DataFrame, "trial_folders"]:
    """Write every trial's folder; one that is there already, finished or not, is left as it is."""
    with stage("prepare_trials", torch_threads=config.torch_threads):
        read = PoolRead(prompts, features, controls, policy, sae, pass_rates)
        signals = {"quality": quality, "clusters": clusters, "difficulty": difficulty}
        folders = trial_folders(Pool(read, signals, held_out, pass_rates_report), config)
        jobs = [read_job(folder) for folder in folders]
    return pd.DataFrame({
        "arm": [job.arm for job in jobs], "seed": [job.seed for job in jobs], "folder": [str(f) for f in folders]
    })  # fmt: skip
