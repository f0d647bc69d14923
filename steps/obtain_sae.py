"""Train a TopK SAE with sae-lens, or load one."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import SaeMaterializer
from saerl_core.config.run import FeaturesConfig, SaeConfig
from saerl_core.features.sae import obtain_sae as obtain
from saerl_core.records import PolicyRef, SaeRef, SaeReport
from tracking.runtime import stage, stage_cache, track, work_dir


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("obtain_sae"),
    output_materializers={"sae": SaeMaterializer},
)
def obtain_sae(
    prompts: pd.DataFrame,
    policy: PolicyRef,
    config: SaeConfig,
    features_config: FeaturesConfig,
    seed: int,
    torch_threads: int,
    fingerprint: str,
) -> tuple[Annotated[SaeRef, "sae"], Annotated[SaeReport, "sae_report"]]:
    """Obtain the SAE and measure its health on the pool."""
    with stage("obtain_sae", torch_threads=torch_threads) as clock:
        folder = work_dir("sae", config.model_dump_json(), features_config.model_dump_json(), policy.policy_id, seed)
        sae, report = obtain(config, features_config, policy, prompts, folder, seed)
        report = clock.stamp(report)
    track("obtain_sae", report)
    return sae, report
