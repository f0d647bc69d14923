"""Strategy `prepo`: prompts from low to high perplexity under the policy, after PREPO (arXiv:2511.00794).

Our reading of the idea, static: the perplexity is that of the policy before training, one prefill of the pool and no
rollout. The paper reads it again for every candidate batch and weights rollouts by their entropy; not so here.
"""

from typing import Literal

import numpy as np

from saerl_core.config.vectors import VectorsConfig
from saerl_core.plan.batches import Order
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings, in_order_of

_PROMPT_NLL = 0  # column of the vectors below: the log of the prompt's mean negative log-likelihood, standardised


class PrepoSettings(StrategySettings):
    """Low to high has no switch."""

    name: Literal["prepo"] = "prepo"

    def vectors(self) -> VectorsConfig:
        """Return the likelihoods alone."""
        return VectorsConfig(features="none", use_likelihood=True)


def order_by_perplexity(candidates: Candidates, settings: PrepoSettings, rng: np.random.Generator) -> Order:
    """Sort the candidates by the perplexity of their prompt, ascending, ties by `prompt_id`; `rng` is not drawn from.

    Without likelihoods all prompts are alike, and the order is that of their ids.
    """
    columns = candidates.vectors
    nll = columns[:, _PROMPT_NLL] if columns.shape[1] else np.zeros(len(columns))
    return in_order_of(candidates, nll)


STRATEGY = StaticStrategy(
    settings=PrepoSettings,
    title="from prompts that the policy reads with low perplexity to those with high",
    source="after PREPO, arXiv 2511.00794",
    order=order_by_perplexity,
)
