"""A run that is killed with SIGKILL, between two steps and in the middle of saving, and one whose disk is full."""

import signal
from pathlib import Path

import numpy as np
import pytest

from saerl_core.errors import BackendError
from saerl_core.tables import TRAINING_LOG
from saerl_core.training.checkpoints import checkpoints
from saerl_core.training.run import train_policy
from tests.training.world import FeedbackCurriculum, ListCurriculum, epochs, tiny_job, tiny_prompts, weights_of

N_STEPS = 8  # as in killed_run
IDS = list(tiny_prompts()["prompt_id"])


def names(work_dir: Path) -> list[str]:
    return [p.name for p in checkpoints(work_dir / "checkpoints")]


@pytest.mark.slow
def test_a_run_killed_twice_ends_like_one_that_was_not(killed, policy, tmp_path, steps):
    """Checkpoints come every 2 steps: killed after step 4, then while the checkpoint after 6 steps is written."""
    work_dir = tmp_path / "killed"
    assert killed(policy, work_dir, "after:4", "saving:6") == [
        f"after:4 {-signal.SIGKILL} step-000002 step-000004",
        f"saving:6 {-signal.SIGKILL} step-000002 step-000004",  # a half-written checkpoint is none
    ]
    assert (work_dir / "checkpoints" / ".step-000006.part").is_dir()

    result = train_policy(tiny_job(policy, work_dir, n_steps=N_STEPS), FeedbackCurriculum(IDS, 4), steps)
    whole = train_policy(
        tiny_job(policy, tmp_path / "whole", n_steps=N_STEPS), FeedbackCurriculum(IDS, 4), lambda *_: None
    )

    assert [int(s) for s in work_dir.with_suffix(".steps").read_text().split()] == [0, 1, 2, 3, 4, 4, 5]
    assert [s for s, _ in steps] == [4, 5, 6, 7], "what came after the last checkpoint is done again"
    assert result.report.values["resumed_from_step"] == 4
    assert result.consumed.equals(whole.consumed), "nothing repeated, nothing skipped"
    assert list(result.log["step"]) == list(range(N_STEPS)), "each step once"
    columns = [c for c in TRAINING_LOG.columns if c != "step_s"]
    assert result.log[columns].equals(whole.log[columns])
    one, other = weights_of(whole.policy), weights_of(result.policy)
    assert all(np.array_equal(one[k], other[k]) for k in one), "the weights are the same bit for bit"
    assert names(work_dir) == ["step-000006", "step-000008"], "the newest two are kept"
    assert not list((work_dir / "checkpoints").glob(".*"))


@pytest.mark.parametrize("size", [100, 12_000], ids=["the model", "the optimizer"])
def test_a_full_disk_is_said_and_the_last_checkpoint_stays(policy, tmp_path, steps, small_disk, size):
    batches = epochs(IDS, 4, 2)

    def full_in_step_3(step, metrics):
        if step == 3:
            small_disk(size)

    job = tiny_job(policy, tmp_path / "w", n_steps=6)
    with pytest.raises(BackendError, match=r"could not save the checkpoint after 4 steps .* free disk space") as caught:
        train_policy(job, ListCurriculum(batches), full_in_step_3)
    small_disk(None)
    assert "too large" in str(caught.value), "the system's own reason is named"
    assert names(tmp_path / "w") == ["step-000002"]
    assert not list((tmp_path / "w" / "checkpoints").glob(".*")), "the half-written folder gives its space back"
    result = train_policy(job, ListCurriculum(batches), steps)
    assert [s for s, _ in steps] == [2, 3, 4, 5]
    assert len(result.log) == 6


def test_a_run_that_was_stopped_before_it_was_published_needs_no_training(policy, tmp_path, steps, monkeypatch):
    """Killed between the last checkpoint and the finished folder: only files are left to write."""
    import shutil

    job = tiny_job(policy, tmp_path / "w", n_steps=3)
    first = train_policy(job, FeedbackCurriculum(IDS, 4), steps)
    shutil.rmtree(tmp_path / "w" / "finished")
    shutil.rmtree(tmp_path / "w" / "policy")
    again = train_policy(job, FeedbackCurriculum(IDS, 4), steps)
    assert len(steps) == 3
    assert again.policy == first.policy
    assert again.log.equals(first.log)


def test_a_damaged_checkpoint_is_named(policy, tmp_path, steps):
    job = tiny_job(policy, tmp_path / "w", n_steps=3)
    train_policy(job, FeedbackCurriculum(IDS, 4), steps)
    (tmp_path / "w" / "finished" / "session.json").write_text("{")
    with pytest.raises(BackendError, match=r"finished cannot be read .*delete that folder"):
        train_policy(job, FeedbackCurriculum(IDS, 4), steps)


def test_a_curriculum_whose_state_is_no_json_is_named(policy, tmp_path, steps):
    class Odd(ListCurriculum):
        def state_dict(self):
            return {"generator": np.random.default_rng(0)}

    with pytest.raises(BackendError, match="the curriculum's state cannot be written as JSON"):
        train_policy(tiny_job(policy, tmp_path / "w", n_steps=3), Odd(epochs(IDS, 4, 1)), steps)


def test_a_diverging_run_is_said(policy, tmp_path, steps):
    job = tiny_job(policy, tmp_path / "w", n_steps=6, lr=1e30)
    with pytest.raises(BackendError, match=r"not finite.*training\.lr"):
        train_policy(job, ListCurriculum(epochs(IDS, 4, 2)), steps)


def test_a_prompt_that_does_not_fit_the_context_is_named(tmp_path, steps):
    from tests.training.world import tiny_policy

    narrow = tiny_policy(tmp_path / "narrow", context=5)
    with pytest.raises(BackendError, match=r"prompt 'p07' has 5 tokens; .* between 1 and 3"):
        train_policy(tiny_job(narrow, tmp_path / "w", n_steps=1), ListCurriculum([["p00", "p07", "p01", "p02"]]), steps)


@pytest.mark.parametrize("algorithm", ["grpo", "dapo", "rloo"])
def test_micro_batches_train_the_same(policy, tmp_path, steps, algorithm):
    one, two = (
        train_policy(
            tiny_job(policy, tmp_path / str(m), n_steps=2, algorithm=algorithm, micro_batch_rollouts=m),
            ListCurriculum(epochs(IDS, 4, 1)),
            steps,
        )
        for m in (None, 4)
    )
    assert one.consumed.equals(two.consumed)
    assert list(one.log["grad_norm"]) == pytest.approx(list(two.log["grad_norm"]), rel=1e-3)
    assert one.log["grad_norm"].iloc[-1] > 0


def test_kl_is_logged_where_there_is_a_reference(policy, tmp_path, steps):
    job = tiny_job(policy, tmp_path / "w", n_steps=3, kl_coef=0.1)
    log = train_policy(job, ListCurriculum(epochs(IDS, 4, 1)), steps).log
    assert log["kl"][0] == pytest.approx(0, abs=1e-6)
    assert log["kl"].iloc[-1] > 1e-6
    assert [m["kl"] for _, m in steps] == list(log["kl"])
