"""Strategy `pass_rate_band`: a shuffle of the prompts whose predicted pass rate lies inside a band.

The filter that many recipes use: what is almost always right, or almost never, is left out before training.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from saerl_core.config.base import Unit
from saerl_core.plan.batches import Order
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings, check_chosen, shuffled

_ROUNDING = 1e-9  # 1 - (1 - .2) is a little less than .2


class PassRateBandSettings(StrategySettings):
    """The band, bounds included."""

    name: Literal["pass_rate_band"] = "pass_rate_band"
    low: Unit = 0.2
    high: Unit = 0.8

    def problems(self) -> Iterator[str]:
        """Refuse a band that holds nothing."""
        if self.low > self.high:
            yield (
                f"plan.strategy.low is {self.low} and plan.strategy.high {self.high}, and no pass rate lies between; "
                "exchange them"
            )


def order_inside_band(candidates: Candidates, settings: PassRateBandSettings, rng: np.random.Generator) -> Order:
    """Shuffle the prompts with low <= predicted pass rate <= high; `DataError` where they fill no batch."""
    rates = 1.0 - candidates.table["difficulty"].to_numpy(dtype=np.float64)
    chosen = np.flatnonzero((rates >= settings.low - _ROUNDING) & (rates <= settings.high + _ROUNDING))
    check_chosen(len(chosen), candidates, f"have a predicted pass rate within {settings.low} and {settings.high}")
    return shuffled(candidates, chosen, rng)


STRATEGY = StaticStrategy(
    settings=PassRateBandSettings,
    title="a shuffle of the prompts whose predicted pass rate lies inside a band",
    source="common practice",
    signals=("difficulty",),
    order=order_inside_band,
)
