"""Train the policy in exactly the planned order."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import PolicyMaterializer
from saerl_core.config import GradingConfig, TrainingConfig
from saerl_core.plan.static import StaticCurriculum
from saerl_core.records import BatchPlan, PolicyRef, TrainingReport, TrainJob
from saerl_core.training.run import train_policy as train
from steps._runtime import cache_policy, log_training_step, stage, track, work_dir


@step(
    experiment_tracker=True,
    cache_policy=cache_policy("training", "rollouts", "policy", "world"),
    output_materializers={"trained_policy": PolicyMaterializer},
)
def train_policy(
    prompts: pd.DataFrame,
    plan: BatchPlan,
    policy: PolicyRef,
    config: TrainingConfig,
    grading: GradingConfig,
    seed: int,
    torch_threads: int,
) -> tuple[
    Annotated[PolicyRef, "trained_policy"],
    Annotated[pd.DataFrame, "training_log"],
    Annotated[pd.DataFrame, "consumed"],
    Annotated[TrainingReport, "training_report"],
]:
    """Train; a killed run started again finds its checkpoints by the hash of plan, policy and settings."""
    with stage("train_policy", torch_threads=torch_threads) as clock:
        settings = (config.model_dump_json(), grading.model_dump_json(), seed)
        key = (plan.plan_hash, policy.policy_id, policy.prompt_format, *settings)
        job = TrainJob(
            policy=policy, prompts=prompts, config=config, grading=grading, n_steps=plan.n_steps,
            prompts_per_step=plan.prompts_per_step, seed=seed, curriculum_hash=plan.plan_hash,
            work_dir=work_dir("train", *key),
        )  # fmt: skip
        result = train(job, StaticCurriculum(plan), log_training_step)
        report = clock.stamp(result.report)
    track("train_policy", report)
    return result.policy, result.log, result.consumed, report
