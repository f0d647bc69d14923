"""OpenRLHF's names become ours; what cannot be right is refused."""

import math

import pytest

from saerl_core.errors import BackendError
from saerl_core.tables import TRAINING_LOG
from saerl_core.training.openrlhf.mailbox import StepReport
from saerl_core.training.openrlhf.metrics import evaluation_metrics, step_metrics

MEASURED = {
    "rollout/response_length_mean": 7.5,
    "rollout/truncated_rate": 0.25,
    "rollout/reward_mean": 0.5,
    "rollout/num_samples": 16.0,
    "response_length": 7.4,
    "reward": 0.5,
    "policy_loss": -0.1,
    "actor_grad_norm": 2.0,
    "actor_lr": 1e-6,
    "entropy_loss": 0.7,
    "kl": 0.01,
    "timing/step_total": 12.0,
    "timing/generation": 8.0,
    "critic_loss": 0.3,
    "plan_step": 4.0,
}


def report(**changes) -> StepReport:
    return StepReport(4, {**MEASURED, **changes})


def test_names_are_those_of_the_embedded_backend():
    found = step_metrics(report(), with_kl=True)
    assert found["completion_tokens_mean"] == 7.5
    assert found["truncated_frac"] == 0.25
    assert (found["loss"], found["grad_norm"], found["lr"]) == (-0.1, 2.0, 1e-6)
    assert (found["entropy"], found["kl"], found["step_s"]) == (0.7, 0.01, 12.0)
    assert (found["critic_loss"], found["timing/generation"], found["plan_step"]) == (0.3, 8.0, 4.0)
    counted = {"step", "reward_mean", "zero_std_frac", "n_rollouts_total", "n_tokens_total", "consumed_hash"}
    counted |= {"screened_frac", "eval_pass_at_1"}  # of the held-out scores, which come on their own
    assert set(TRAINING_LOG.columns) - counted <= set(found)
    assert not counted & set(found), "these are counted from the audit"
    assert not [name for name in found if name.startswith("rollout/") or name == "response_length"]


def test_a_kl_that_nobody_measured_is_left_out():
    assert "kl" not in step_metrics(report(kl=0.0), with_kl=False)


def test_what_may_be_absent_may_be_absent():
    rest = {k: v for k, v in MEASURED.items() if k not in ("kl", "entropy_loss", "actor_grad_norm", "plan_step")}
    found = step_metrics(StepReport(4, rest), with_kl=True)
    assert not {"kl", "entropy", "grad_norm"} & set(found)


@pytest.mark.parametrize(
    "name",
    ["policy_loss", "actor_lr", "rollout/response_length_mean", "rollout/truncated_rate", "timing/step_total"],
)
def test_a_metric_of_every_step_must_be_there(name):
    rest = {k: v for k, v in MEASURED.items() if k != name}
    with pytest.raises(BackendError, match=r"report of step 4 lacks .*; it holds actor_grad_norm, "):
        step_metrics(StepReport(4, rest), with_kl=True)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["policy_loss", "actor_grad_norm"])
def test_training_that_diverged_is_said(name, value):
    with pytest.raises(BackendError, match=r"at step 4 is (nan|inf), which is not finite; lower training\.lr"):
        step_metrics(report(**{name: value}), with_kl=True)


def test_other_metrics_that_are_not_finite_are_left_out():
    assert "critic_loss" not in step_metrics(report(critic_loss=math.nan), with_kl=True)


@pytest.mark.parametrize("position", [3.0, 4.6, math.nan])
def test_rollouts_of_another_step_are_refused(position):
    with pytest.raises(BackendError, match="at step 4 have the mean plan position"):
        step_metrics(report(plan_step=position), with_kl=True)


def test_rounding_of_the_position_is_forgiven():
    assert step_metrics(report(plan_step=4.0001), with_kl=True)["plan_step"] == 4.0001


def test_names_that_mlflow_refuses_are_spelt_otherwise():
    assert step_metrics(report(**{"pass@1:x": 1.0}), with_kl=True)["pass_1_x"] == 1.0


def test_scores_get_our_names():
    scores = {
        "eval_dev_pass4": 0.75,
        "eval_dev_pass1": 0.5,
        "eval_dev_response_length_mean": 7.0,
        "eval_response_length_mean": 8.0,
        "eval_truncated_rate": 0.125,
        "eval_num_samples": 20.0,
    }
    assert evaluation_metrics(StepReport(10, scores)) == {
        "eval_pass_at_4": 0.75,
        "eval_pass_at_1": 0.5,
        "eval_completion_tokens_mean": 8.0,
        "eval_truncated_frac": 0.125,
    }
