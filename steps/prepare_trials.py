"""Plan the trials of a comparison: a folder each, which worker processes or steps of their own take up."""

from typing import Annotated, Any

import pandas as pd
from zenml import step

from saerl_core.config.run import RunConfig
from saerl_core.records import ControlFeatures, PassRatesReport, PolicyRef, SaeFeatures
from saerl_core.trials.arms import other_readings
from saerl_core.trials.folders import read_job
from steps._trials import Pool, trial_folders
from steps._vectors import PoolRead
from tracking.runtime import stage


@step(experiment_tracker=True, enable_cache=False)
def prepare_trials(
    prompts: pd.DataFrame,
    held_out: pd.DataFrame,
    policy: PolicyRef,
    features: list[SaeFeatures],
    controls: list[ControlFeatures],
    quality: list[pd.DataFrame],
    clusters: list[pd.DataFrame],
    difficulty: list[pd.DataFrame],
    config: RunConfig,
    pass_rates_report: PassRatesReport | None = None,
    likelihoods: tuple[Any, ...] = (),  # of tables; ZenML takes an argument with a default for JSON and refuses a table
) -> Annotated[pd.DataFrame, "trial_folders"]:
    """Write every trial's folder; one that is there already, finished or not, is left as it is.

    The lists hold the run's own reading of the pool first, then those of `other_readings` in their order; `likelihoods`
    is empty where no arm asks for them.
    """
    with stage("prepare_trials", torch_threads=config.torch_threads):
        read = likelihoods or (None,) * len(features)
        own, *others = (
            Pool(PoolRead(prompts, f, c, policy, n), {"quality": q, "clusters": k, "difficulty": d})
            for f, c, q, k, d, n in zip(features, controls, quality, clusters, difficulty, read, strict=True)
        )
        readings = other_readings(config, config.compare).values()
        named = dict(zip(readings, others, strict=True))
        folders = trial_folders(own, named, held_out, pass_rates_report, config)
        jobs = [read_job(folder) for folder in folders]
    return pd.DataFrame(
        {"arm": [job.arm for job in jobs], "seed": [job.seed for job in jobs], "folder": [str(f) for f in folders]}
    )
