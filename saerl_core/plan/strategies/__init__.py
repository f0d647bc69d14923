"""The table of strategies, static and online: one file and one row each."""

from collections.abc import Mapping

from saerl_core.plan.strategies import adaptive, bandit, difficulty, mopps, saerl, vanilla
from saerl_core.plan.strategies.base import Strategy

_ROWS: tuple[Strategy, ...] = (
    saerl.STRATEGY,
    vanilla.STRATEGY,
    difficulty.STRATEGY,
    adaptive.STRATEGY,
    mopps.STRATEGY,
    bandit.STRATEGY,
)
STRATEGIES: Mapping[str, Strategy] = {row.name: row for row in _ROWS}
