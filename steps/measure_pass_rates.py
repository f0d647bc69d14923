"""Measure the base policy's pass rate on a small labelled subset."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.config.run import GradingConfig, PassRatesConfig
from saerl_core.records import PassRatesReport, PolicyRef
from saerl_core.rollouts.measure import measure_pass_rates as measure
from saerl_core.rollouts.measure import not_measured
from saerl_core.signals.labels import data_label
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("measure_pass_rates"))
def measure_pass_rates(
    prompts: pd.DataFrame,
    clusters: pd.DataFrame,
    policy: PolicyRef,
    config: PassRatesConfig,
    grading: GradingConfig,
    seed: int,
    torch_threads: int,
    unless_known: bool,
    rollouts: RolloutsConfig,
) -> tuple[Annotated[pd.DataFrame, "pass_rates"], Annotated[PassRatesReport, "pass_rates_report"]]:
    """Sample and grade rollouts on a subset that is stratified over the clusters; the cost is counted.

    With `unless_known` nothing is measured where the data bring labels of their own; the table is empty then.
    """
    known = data_label(prompts) if unless_known else None
    with stage("measure_pass_rates", torch_threads=torch_threads) as clock:
        pass_rates, report = (
            measure(prompts, clusters, policy, config, grading, seed, rollouts=rollouts)
            if known is None
            else not_measured(known)
        )
        report = clock.stamp(report)
    track("measure_pass_rates", report)
    return pass_rates, report
