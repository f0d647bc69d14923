"""Plan metrics, worked by hand."""

import pandas as pd
import pytest

from saerl_core.plan.metrics import plan_metrics
from saerl_core.tables import PLAN


def table(batches, difficulty, epoch=None):
    """`batches` holds the cluster ids of each step's slots."""
    rows = [
        (step, slot, epoch[step] if epoch else 0, f"p{step}-{slot}", cluster, difficulty[step], False)
        for step, clusters in enumerate(batches)
        for slot, cluster in enumerate(clusters)
    ]
    return PLAN.check(pd.DataFrame(rows, columns=list(PLAN.columns)))


def test_coherence_is_the_share_of_the_largest_cluster():
    values = plan_metrics(table([[0, 0, 0, 1], [0, 1, 2, 3]], [0.1, 0.2]))
    assert values["coherence"] == pytest.approx((0.75 + 0.25) / 2)


def test_coverage_counts_clusters_in_windows_of_as_many_steps_as_there_are_clusters():
    plan = table([[0], [0], [1], [2], [0]], [0.1, 0.2, 0.3, 0.4, 0.5])
    values = plan_metrics(plan, n_clusters=2)
    assert values["coverage"] == pytest.approx((0.5 + 1.0) / 2)  # {0}, {1, 2}; the fifth step is no full window
    values = plan_metrics(plan, n_clusters=4)
    assert values["coverage"] == pytest.approx(3 / 4)
    assert values["coverage_epoch"] == pytest.approx(3 / 4)  # the fourth cluster of the pool is in no batch


def test_difficulty_trend_is_taken_inside_epochs():
    plan = table([[0], [0], [0], [0]], [0.1, 0.9, 0.2, 0.8], epoch=[0, 0, 1, 1])
    assert plan_metrics(plan)["difficulty_trend"] == pytest.approx(1.0)
    assert plan_metrics(table([[0], [0]], [0.9, 0.1]))["difficulty_trend"] == pytest.approx(-1.0)


def test_an_undefined_trend_is_left_out():
    assert "difficulty_trend" not in plan_metrics(table([[0], [1]], [0.5, 0.5]))
    assert "difficulty_trend" not in plan_metrics(table([[0]], [0.5]))
