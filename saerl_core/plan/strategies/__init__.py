"""Strategies: one small file each, all of type `saerl_core.plan.order.Strategy`."""

from collections.abc import Mapping

from saerl_core.plan.order import Strategy
from saerl_core.plan.strategies.difficulty import order_by_difficulty
from saerl_core.plan.strategies.saerl import order_by_clusters
from saerl_core.plan.strategies.vanilla import order_at_random

STRATEGIES: Mapping[str, Strategy] = {
    "saerl": order_by_clusters,
    "vanilla": order_at_random,
    "difficulty": order_by_difficulty,
}

__all__ = ["STRATEGIES"]
