"""In how many parts a pool is read."""

from typing import Annotated

from pydantic import Field

from saerl_core.config.base import Section

Parts = Annotated[int, Field(ge=1, le=999)]


class ShardsConfig(Section):
    """In how many parts steps over the pool run, each a step of its own; results are the same to the last bit."""

    features: Parts = 1  # of extract_sae_features: 4 are 4 pods side by side on Kubernetes, one after another elsewhere
    pass_rates: Parts = 1  # of measure_pass_rates; at most pass_rates.n_labelled
    likelihoods: Parts = 1  # of measure_likelihoods: the policy's own reading of the prompts and their answers
