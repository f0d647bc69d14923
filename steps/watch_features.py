"""Which named features fire more, or less, in the policy's answers after training."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.config.run import EvaluationConfig, FeaturesConfig
from saerl_core.evaluation.answers import paired_answers
from saerl_core.features.watch import watch_features as compare_answers
from saerl_core.records import PolicyRef, SaeRef, WatchReport
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("watch_features"))
def watch_features(
    held_out: pd.DataFrame,
    policy: PolicyRef,
    trained_policy: PolicyRef,
    sae: SaeRef,
    config: EvaluationConfig,
    features: FeaturesConfig,
    rollouts: RolloutsConfig,
    seed: int,
    torch_threads: int,
) -> Annotated[WatchReport, "watch_report"]:
    """Let both policies answer held-out prompts and read the answers with the SAE of the run."""
    with stage("watch_features", torch_threads=torch_threads) as clock:
        policies = {"before": policy, "after": trained_policy}
        prompts, answers, n_tokens = paired_answers(held_out, policies, config, rollouts, seed)
        report = compare_answers(prompts, answers, policy, sae, features, seed)
        counts = {"n_rollouts": 2 * len(prompts), "n_generated_tokens": n_tokens}
        report = clock.stamp(report.model_copy(update=counts))
    track("watch_features", report)
    return report
