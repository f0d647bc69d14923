"""The cost ledger: what every stage spent, labels and evaluation included."""

from collections.abc import Iterable

import pandas as pd

from saerl_core.records import StageReport
from saerl_core.tables import COSTS

_COLUMNS = {"seconds": "seconds", "n_rollouts": "rollouts", "n_generated_tokens": "generated_tokens"}


def costs_table(stages: Iterable[tuple[str, StageReport | None]]) -> pd.DataFrame:
    """Return the ledger, one row a stage that ran, in order; a cached stage keeps what it cost when it ran."""
    rows = [
        {
            "stage": stage,
            "seconds": report.seconds,
            "n_rollouts": report.n_rollouts,
            "n_generated_tokens": report.n_generated_tokens,
            "n_prefill_tokens": report.n_prefill_tokens,
        }
        for stage, report in stages
        if report is not None
    ]
    return COSTS.check(pd.DataFrame(rows, columns=list(COSTS.columns)))


def cost_metrics(costs: pd.DataFrame) -> dict[str, float]:
    """Return the ledger as metrics: `cost/<stage>_<unit>` and `cost/total_<unit>`."""
    metrics: dict[str, float] = {}
    for column, unit in _COLUMNS.items():
        for stage, value in zip(costs["stage"], costs[column], strict=True):
            metrics[f"cost/{stage}_{unit}"] = float(value)
        metrics[f"cost/total_{unit}"] = float(costs[column].sum())
    return metrics
