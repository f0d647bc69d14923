"""One trial: train by its plan, score the held-out prompts as it goes and at the end."""

import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from saerl_core.compare.trials import Point, Trial
from saerl_core.config.run import EvaluationConfig
from saerl_core.evaluation.evaluate import evaluate_policies
from saerl_core.plan.curriculum import make_curriculum
from saerl_core.plan.storage import load_plan
from saerl_core.protocols import StepMetrics
from saerl_core.records import TrainJob, TrainResult
from saerl_core.trained_on import trained_on
from saerl_core.training.run import train_policy
from saerl_core.trials.folders import (
    PLAN,
    WORK,
    TrialJob,
    accuracies,
    append_accuracy,
    read_job,
    read_trial,
    write_error,
    write_trial,
)


def run_trial(folder: Path, on_step: Callable[[int], None] = lambda step: None) -> Trial:
    """Run the trial of a folder, or go on where a killed one stopped; checkpoints are removed at the end.

    Raises:
        SaerlError: what planning, training or evaluation refuse.
    """
    job = read_job(folder)
    prompts, held_out = pd.read_parquet(job.prompts_file), pd.read_parquet(job.held_out_file)
    if 0 not in accuracies(folder):  # the first point of the curve: the policy before training
        append_accuracy(folder, 0, _accuracy(_items(job, job.policy, held_out)))
    result = _train(folder, job, prompts, held_out, on_step)
    items = _items(job, result.policy, held_out)
    trial = Trial(
        arm=job.arm,
        seed=job.seed,
        curve=_curve(job, result.log, accuracies(folder) | {len(result.log): _accuracy(items)}),
        items=items,
        label_rollouts=job.label_rollouts,
        zero_std_frac=tuple(float(share) for share in result.log["zero_std_frac"]),
        trained_on=trained_on(result.consumed, prompts, pd.read_parquet(job.clusters_file)),
    )
    write_trial(folder, trial)
    shutil.rmtree(folder / WORK, ignore_errors=True)
    return trial


def attempt(folder: Path, on_step: Callable[[int], None] = lambda step: None) -> str | None:
    """Run the trial of a folder unless it is finished; return why it failed, None where it did not.

    An arm that fails is a row of the table, and the others go on: whatever it raises is written into its folder.
    """
    if read_trial(folder) is not None:
        return None
    try:
        run_trial(folder, on_step)
    except Exception as error:  # noqa: BLE001 (a user's strategy or reward may raise anything)
        write_error(folder, f"{type(error).__name__}: {error}", traceback.format_exc())
        return f"{type(error).__name__}: {error}"
    return None


def _train(
    folder: Path, job: TrialJob, prompts: pd.DataFrame, held_out: pd.DataFrame, on_step: Callable[[int], None]
) -> TrainResult:
    def heard(step: int, metrics: StepMetrics) -> None:
        if "eval_pass_at_1" in metrics:
            append_accuracy(folder, step + 1, float(metrics["eval_pass_at_1"]))
        else:
            on_step(step + 1)

    train_job = TrainJob(
        policy=job.policy,
        prompts=prompts,
        config=job.training,
        grading=job.grading,
        n_steps=job.n_steps,
        prompts_per_step=job.prompts_per_step,
        seed=job.seed,
        curriculum_hash=job.plan_hash,
        work_dir=folder / WORK,
        eval_prompts=held_out,
        max_rollouts=job.max_rollouts,
    )
    return train_policy(train_job, make_curriculum(load_plan(folder / PLAN)), heard)


def _items(job: TrialJob, policy: object, held_out: pd.DataFrame) -> pd.DataFrame:
    """Return one row a held-out prompt: the same random numbers for every arm of a seed."""
    config = EvaluationConfig(
        n_samples=job.n_samples,
        ks=(1,),
        temperature=job.training.temperature,
        max_completion_tokens=job.training.max_completion_tokens,
    )
    _, items, _ = evaluate_policies(policy, None, held_out, config, job.grading, job.seed)  # type: ignore[arg-type]
    return items.rename(columns={"prompt_id": "item_id"})[["item_id", "n_samples", "n_correct"]]


def _accuracy(items: pd.DataFrame) -> float:
    return float((items["n_correct"] / items["n_samples"]).mean())


def _curve(job: TrialJob, log: pd.DataFrame, found: dict[int, float]) -> tuple[Point, ...]:
    """Join accuracies by step with what had been spent until then; labels are spent before the first step.

    The last point is the mean of the final items, so that curve and table end with the same figure.
    """
    seconds = log["step_s"].cumsum()
    spent = {0: (0, 0, 0.0)} | {
        int(step) + 1: (int(rollouts), int(tokens), float(s))
        for step, rollouts, tokens, s in zip(
            log["step"], log["n_rollouts_total"], log["n_tokens_total"], seconds, strict=True
        )
    }
    return tuple(
        Point(step, job.label_rollouts + spent[step][0], job.label_tokens + spent[step][1], spent[step][2], accuracy)
        for step, accuracy in sorted(found.items())
        if step in spent
    )
