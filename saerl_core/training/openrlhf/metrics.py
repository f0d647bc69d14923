"""OpenRLHF's names for what a step measured, and ours, which are those of the embedded backend."""

import math
import re

from saerl_core.errors import BackendError
from saerl_core.protocols import StepMetrics
from saerl_core.training.openrlhf.mailbox import StepReport

_OURS = {  # OpenRLHF's name -> column of tables.TRAINING_LOG
    "rollout/response_length_mean": "completion_tokens_mean",
    "rollout/truncated_rate": "truncated_frac",
    "policy_loss": "loss",
    "actor_grad_norm": "grad_norm",
    "actor_lr": "lr",
    "entropy_loss": "entropy",
    "timing/step_total": "step_s",
    "kl": "kl",
}
_MAY_BE_ABSENT = {"kl", "entropy", "grad_norm"}
# counted from the audit
_OURS_ALONE = {"reward_mean", "zero_std_frac", "screened_frac", "n_rollouts_total", "n_tokens_total"}
_REPEATED = {"rollout/reward_mean", "rollout/num_samples", "response_length", "truncated"}  # in another name already
_EVALUATION = re.compile(r"eval_(?P<source>.+)_pass(?P<k>\d+)")
_NOT_A_NAME = re.compile(r"[^\w\-. /]")  # MLflow takes nothing else


def step_metrics(report: StepReport, *, with_kl: bool) -> StepMetrics:
    """Return a step's metrics under our names; what OpenRLHF measures beyond them keeps its own.

    `with_kl` is false where no reference policy was asked: OpenRLHF then reports a KL of 0 that nobody measured.
    Extras that are not finite are left out: MLflow draws none.

    Raises:
        BackendError: a metric that every step has is absent, the loss is not finite, or the mean plan position of the
            rollouts is that of another step.
    """
    metrics: StepMetrics = {}
    for name, value in report.metrics.items():
        ours = _OURS.get(name, _NOT_A_NAME.sub("_", name))
        if name not in _REPEATED and ours not in _OURS_ALONE:
            metrics[ours] = value
    if not with_kl:
        metrics.pop("kl", None)
    absent = [ours for ours in _OURS.values() if ours not in metrics and ours not in _MAY_BE_ABSENT]
    if absent:
        raise BackendError(
            f"the trainer's report of step {report.step} lacks {', '.join(absent)}; it holds "
            f"{', '.join(sorted(report.metrics)) or 'nothing'}: an extra argument of training.openrlhf.extra_args "
            "switches it off, or the policy was not trained in this step"
        )
    for name in ("loss", "grad_norm"):
        if not math.isfinite(metrics.get(name, 0.0)):
            raise BackendError(
                f"{name} at step {report.step} is {metrics[name]}, which is not finite; lower training.lr and delete "
                "the training folder"
            )
    position = metrics.get("plan_step", float(report.step))
    if not abs(position - report.step) < 0.5:
        raise BackendError(
            f"the rollouts that reached the loss at step {report.step} have the mean plan position {position:.3f}: "
            "the trainer left the plan; delete the training folder and train again"
        )
    return {k: v for k, v in metrics.items() if math.isfinite(v)}


def evaluation_metrics(report: StepReport) -> StepMetrics:
    """Return held-out scores under our names: eval_pass_at_1, eval_pass_at_<k>, eval_completion_tokens_mean ..."""
    found: StepMetrics = {}
    for name, value in report.metrics.items():
        scored = _EVALUATION.fullmatch(name)
        if scored:
            found[f"eval_pass_at_{scored['k']}"] = value
        elif name == "eval_response_length_mean":
            found["eval_completion_tokens_mean"] = value
        elif name == "eval_truncated_rate":
            found["eval_truncated_frac"] = value
    return {k: v for k, v in found.items() if math.isfinite(v)}
