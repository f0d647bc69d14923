"""Put the shards of the likelihoods together: what `measure_likelihoods` gives where there are none."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import DifficultyConfig
from saerl_core.features.likelihood import NOT_READ
from saerl_core.features.likelihood import merge_likelihoods as merge
from saerl_core.records import StageReport
from saerl_core.shards import ShardResult
from saerl_core.signals.labels import chosen_label
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("measure_likelihoods"))
def merge_likelihoods(
    prompts: pd.DataFrame, shards: list[ShardResult], unless_labelled: DifficultyConfig | None = None
) -> tuple[Annotated[pd.DataFrame, "likelihoods"], Annotated[StageReport, "likelihoods_report"]]:
    """Merge in the order of the pool; the cost is that of the shards and of merging them."""
    with stage("measure_likelihoods") as clock:
        is_wanted = unless_labelled is None or chosen_label(prompts, None, unless_labelled) == "likelihood"
        scored = merge(prompts, shards) if is_wanted else NOT_READ
        own = clock.stamp(scored.report()).seconds
        report = scored.report().model_copy(update={"seconds": round(own + sum(p.seconds for p in shards), 3)})
    track("measure_likelihoods", report)
    return scored.table, report
