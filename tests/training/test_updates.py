"""Several optimizer steps on the rollouts of one batch, each on a part of them."""

import signal

import numpy as np
import pandas as pd
import pytest

from saerl_core.errors import ConfigError
from saerl_core.tables import TRAINING_LOG
from saerl_core.training.embedded.planned import PlannedTrainer
from saerl_core.training.run import train_policy
from tests.training.world import FeedbackCurriculum, ListCurriculum, epochs, tiny_job, tiny_prompts, weights_of

IDS = list(tiny_prompts()["prompt_id"])
SIZE, N_STEPS = 4, 8


@pytest.fixture
def seen(monkeypatch):
    """What every micro-batch was trained with: how far the policy had moved since it sampled, and its rows."""
    found, real = [], PlannedTrainer._compute_loss

    def spy(self, model, inputs):
        import torch

        with torch.no_grad():
            now, *_ = (
                type(self)
                .__mro__[2]
                ._get_per_token_logps_and_entropies(
                    self,
                    model,
                    torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
                    torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1),
                    inputs["completion_ids"].shape[1],
                )
            )
        before = inputs["old_per_token_logps"] if inputs.get("old_per_token_logps") is not None else now
        moved = float(((now - before) * inputs["completion_mask"]).abs().max())
        found.append((moved, inputs["row"].tolist()))
        return real(self, model, inputs)

    monkeypatch.setattr(PlannedTrainer, "_compute_loss", spy)
    return found


def test_every_rollout_is_used_once_and_the_policy_moves_within_the_batch(policy, tmp_path, steps, seen):
    job = tiny_job(policy, tmp_path / "w", n_steps=3, updates_per_batch=2, warmup_steps=0)
    result = train_policy(job, ListCurriculum(epochs(IDS, SIZE, 1)), steps)
    assert len(seen) == 6
    for first, second in zip(seen[::2], seen[1::2], strict=True):
        assert sorted(first[1] + second[1]) == list(range(16)), "both halves are the batch"
        assert first[0] == pytest.approx(0, abs=1e-4)
    assert max(second[0] for second in seen[1::2]) > 1e-3, "the ratio is not 1 any more: a clip can act"
    assert list(result.log["step"]) == [0, 1, 2], "one line a batch"
    assert [s for s, _ in steps] == [0, 1, 2]


def test_micro_batches_train_the_same_with_two_updates(policy, tmp_path, steps):
    one, two = (
        train_policy(
            tiny_job(policy, tmp_path / str(m), n_steps=2, updates_per_batch=2, micro_batch_rollouts=m),
            ListCurriculum(epochs(IDS, SIZE, 1)),
            steps,
        )
        for m in (None, 4)
    )
    assert one.consumed.equals(two.consumed)
    assert list(one.log["grad_norm"]) == pytest.approx(list(two.log["grad_norm"]), rel=1e-3)


@pytest.mark.slow
def test_a_killed_run_with_two_updates_ends_like_one_that_was_not(killed, policy, tmp_path, steps):
    work_dir, settings = tmp_path / "killed", {"updates_per_batch": 2}
    assert killed(policy, work_dir, "after:4", **settings) == [f"after:4 {-signal.SIGKILL} step-000002 step-000004"]
    result = train_policy(tiny_job(policy, work_dir, n_steps=N_STEPS, **settings), FeedbackCurriculum(IDS, SIZE), steps)
    other = tiny_job(policy, tmp_path / "whole", n_steps=N_STEPS, **settings)
    whole = train_policy(other, FeedbackCurriculum(IDS, SIZE), lambda *_: None)
    pd.testing.assert_frame_equal(result.consumed, whole.consumed)
    columns = [c for c in TRAINING_LOG.columns if c != "step_s"]
    assert result.log[columns].equals(whole.log[columns])
    one, two = weights_of(whole.policy), weights_of(result.policy)
    assert all(np.array_equal(one[k], two[k]) for k in one), "the weights are the same bit for bit"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"updates_per_batch": 3}, "updates_per_batch is 3, which does not divide the 16 rollouts of a step"),
        (
            {"updates_per_batch": 2, "micro_batch_rollouts": 16},
            "micro_batch_rollouts is 16, which does not divide the 16 rollouts .* in 2 updates",
        ),
    ],
)
def test_parts_that_do_not_divide_are_refused(policy, tmp_path, steps, settings, told):
    with pytest.raises(ConfigError, match=told):
        train_policy(tiny_job(policy, tmp_path / "w", **settings), ListCurriculum([IDS[:4]]), steps)
