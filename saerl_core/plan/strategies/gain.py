"""Strategy `gain`: high to low angle concentration of hidden states, after GAIN-RL (arXiv:2506.02281).

Our reading of the idea, static: the angle concentration is that of the model that the SAE reads, at its layer, before
training. The paper samples around a centre that moves with the accuracy so far; that is not done here.
"""

from typing import Literal

import numpy as np

from saerl_core.config.vectors import VectorsConfig
from saerl_core.plan.batches import Order
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings, in_order_of


class GainSettings(StrategySettings):
    """High to low has no switch."""

    name: Literal["gain"] = "gain"

    def vectors(self) -> VectorsConfig:
        """Return the angle concentration alone."""
        return VectorsConfig(features="angles", use_likelihood=False)


def order_by_concentration(candidates: Candidates, settings: GainSettings, rng: np.random.Generator) -> Order:
    """Sort the candidates by angle concentration, descending, ties by `prompt_id`; `rng` is not drawn from.

    Without angles all prompts are alike, and the order is that of their ids.
    """
    columns = candidates.vectors
    angles = columns[:, 0] if columns.shape[1] else np.zeros(len(columns))
    return in_order_of(candidates, -angles)


STRATEGY = StaticStrategy(
    settings=GainSettings,
    title="from prompts whose hidden states point the same way to those whose do not",
    source="after GAIN-RL, arXiv 2506.02281",
    order=order_by_concentration,
)
