"""Put the shards of the labels together: what `measure_pass_rates` gives where there are none."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import GradingConfig, PassRatesConfig
from saerl_core.records import PassRatesReport
from saerl_core.rollouts.label_shards import merge_labels
from saerl_core.rollouts.measure import not_measured
from saerl_core.shards import ShardResult
from saerl_core.signals.labels import data_label
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("measure_pass_rates"))
def merge_pass_rates(
    prompts: pd.DataFrame,
    shards: list[ShardResult],
    config: PassRatesConfig,
    grading: GradingConfig,
    unless_known: bool,
) -> tuple[Annotated[pd.DataFrame, "pass_rates"], Annotated[PassRatesReport, "pass_rates_report"]]:
    """Merge in the order of the prompts' ids; the cost is that of the shards and of merging them."""
    known = data_label(prompts) if unless_known else None
    with stage("measure_pass_rates") as clock:
        pass_rates, report = merge_labels(shards, config, grading) if known is None else not_measured(known)
        own = clock.stamp(report).seconds
        report = report.model_copy(update={"seconds": round(own + sum(part.seconds for part in shards), 3)})
    track("measure_pass_rates", report)
    return pass_rates, report
