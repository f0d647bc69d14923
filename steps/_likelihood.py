"""The policy's likelihood of the pool, as several steps need it."""

import pandas as pd

from saerl_core.config.run import FeaturesConfig, GradingConfig
from saerl_core.features.likelihood import Likelihood, policy_likelihood
from saerl_core.records import PolicyRef


def likelihood_of(
    prompts: pd.DataFrame, policy: PolicyRef, grading: GradingConfig, features: FeaturesConfig
) -> Likelihood:
    """Read the pool once with the policy, in the batches and on the device of the features."""
    return policy_likelihood(prompts, policy, grading, batch_tokens=features.batch_tokens, device=features.device)
