"""Pre-train the embedded policy, or fetch an existing one."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import PolicyMaterializer
from saerl_core.config.run import PolicyConfig
from saerl_core.policy.prepare import prepare_policy as prepare
from saerl_core.records import PolicyRef, PolicyReport
from tracking.runtime import stage, stage_cache, track, work_dir


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("prepare_policy"),
    output_materializers={"policy": PolicyMaterializer},
)
def prepare_policy(
    prompts: pd.DataFrame,
    dev_prompts: pd.DataFrame,
    test_prompts: pd.DataFrame,
    config: PolicyConfig,
    seed: int,
    torch_threads: int,
    fingerprint: str,
) -> tuple[Annotated[PolicyRef, "policy"], Annotated[PolicyReport, "policy_report"]]:
    """Prepare the policy; the held-out prompts are passed so that pre-training never shows them."""
    with stage("prepare_policy", torch_threads=torch_threads) as clock:
        held_out = pd.concat([dev_prompts, test_prompts], ignore_index=True)
        folder = work_dir("policy", config.model_dump_json(), seed)
        policy, report = prepare(config, prompts, folder, seed, held_out=held_out)
        report = clock.stamp(report)
    track("prepare_policy", report)
    return policy, report
