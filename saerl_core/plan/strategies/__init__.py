"""The table of strategies, static and online: one file and one row each."""

from collections.abc import Mapping

from saerl_core.plan.strategies import (
    adaptive,
    bandit,
    difficulty,
    gain,
    irds,
    learnability,
    mopps,
    oracle_learnability,
    oracle_quality,
    pass_rate_band,
    prepo,
    saerl,
    skip_solved,
    vanilla,
)
from saerl_core.plan.strategies.base import Strategy

_ROWS: tuple[Strategy, ...] = (
    saerl.STRATEGY,
    vanilla.STRATEGY,
    difficulty.STRATEGY,
    pass_rate_band.STRATEGY,
    learnability.STRATEGY,
    prepo.STRATEGY,
    gain.STRATEGY,
    irds.STRATEGY,
    adaptive.STRATEGY,
    mopps.STRATEGY,
    bandit.STRATEGY,
    skip_solved.STRATEGY,
    oracle_quality.STRATEGY,
    oracle_learnability.STRATEGY,
)
STRATEGIES: Mapping[str, Strategy] = {row.name: row for row in _ROWS}
