"""Train the policy in exactly the planned order."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import PolicyMaterializer
from saerl_core.config.run import GradingConfig, TrainingConfig
from saerl_core.plan.curriculum import make_curriculum
from saerl_core.plans import BatchPlan
from saerl_core.records import PolicyRef, TrainingReport, TrainJob
from saerl_core.training.backends import log_files
from saerl_core.training.fingerprint import settings_of
from saerl_core.training.run import train_policy as train
from tracking.runtime import kept_files, log_training_step, stage, stage_cache, track, work_dir


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("train_policy"),
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
    code: str,
    eval_prompts: pd.DataFrame | None = None,
    trial: str = "",
) -> tuple[
    Annotated[PolicyRef, "trained_policy"],
    Annotated[pd.DataFrame, "training_log"],
    Annotated[pd.DataFrame, "consumed"],
    Annotated[pd.DataFrame, "handed_out"],
    Annotated[TrainingReport, "training_report"],
]:
    """Train; a killed run started again finds its checkpoints by plan, policy, settings and code.

    `code` is the hash of the code that trains and chooses. Several trainings of one run are told apart by `trial`.
    """
    with stage("train_policy", torch_threads=torch_threads, trial=trial) as clock:
        # not all settings: whoever runs out of memory lowers a micro-batch and goes on in the same folder
        settings = (settings_of(config), config.device, config.eval_every_steps, config.eval_n_samples)
        key = (plan.plan_hash, policy.policy_id, policy.prompt_format, settings, grading.model_dump_json(), seed, code)
        folder = work_dir("train", *key)
        job = TrainJob(
            policy=policy,
            prompts=prompts,
            config=config,
            grading=grading,
            n_steps=plan.n_steps,
            prompts_per_step=plan.prompts_per_step,
            seed=seed,
            curriculum_hash=plan.plan_hash,
            work_dir=folder,
            eval_prompts=eval_prompts,
        )
        with kept_files(lambda: log_files(config, folder)):
            result = train(job, make_curriculum(plan), log_training_step)
        report = clock.stamp(result.report)
    track("train_policy", report, trial=trial)
    return result.policy, result.log, result.consumed, result.handed_out, report
