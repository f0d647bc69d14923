"""Screening with real OpenRLHF, Ray and DeepSpeed on a CPU: what it sampled, and what reached its optimizer."""

from types import SimpleNamespace

import numpy as np
import pytest

from saerl_core.tables import CONSUMED
from saerl_core.training.consumed import check_consumed
from saerl_core.training.openrlhf.trainer import OpenRlhfTrainer
from saerl_core.training.run import RecordedCurriculum
from tests.training.openrlhf.real_runs import IDS, SIZE, STEPS, adam_steps, digests, real_job, tensors, updates
from tests.training.world import FeedbackCurriculum, correct_counts, expected_batches

GROUP = 8  # a tenth of all completions of one letter are right: two in five groups teach nothing

pytestmark = pytest.mark.openrlhf


@pytest.fixture(scope="module")
def screened(engine_python, policy, tmp_path_factory):
    work = tmp_path_factory.mktemp("screened") / "work"
    job = real_job(
        policy,
        work,
        engine_python,
        group_size=GROUP,
        save_every_steps=1,
        max_completion_tokens=1,
        kl_coef=0.0,
        screen="dynamic",
        max_rounds=6,
        warmup_steps=0,
        inner={"max_checkpoints": STEPS},
    )
    curriculum = RecordedCurriculum(FeedbackCurriculum(IDS, SIZE))
    result = OpenRlhfTrainer().train(job, curriculum, lambda *_: None)
    return SimpleNamespace(work=work, result=result, asked=curriculum.batches, consumed=CONSUMED.check(result.consumed))


def test_an_online_curriculum_saw_every_reward_of_a_batch_before_the_next(screened):
    counts = correct_counts(screened.consumed)
    assert screened.asked == expected_batches(IDS, SIZE, counts)
    check_consumed(screened.asked, screened.consumed)
    assert len(screened.asked) == STEPS


def test_every_update_is_a_full_batch_of_groups_that_teach(screened):
    consumed, log = screened.consumed, screened.result.log
    trained = consumed[consumed["is_trained"]]
    assert set(trained.groupby("update").size()) == {SIZE}
    assert len(log) == trained["update"].nunique() < STEPS
    is_flat = consumed["n_correct"].isin([0, GROUP])
    before = consumed["update"] < consumed["update"].max()  # the last update takes what is left
    assert is_flat.any()
    assert not is_flat[before & consumed["is_trained"]].any()
    assert is_flat[before & ~consumed["is_trained"]].all()


def test_all_rollouts_are_counted_and_one_update_is_one_optimizer_step(screened, policy):
    n_updates, report = len(screened.result.log), screened.result.report
    assert report.n_rollouts == STEPS * SIZE * GROUP == report.n_generated_tokens, "one letter each"
    got = updates(screened.work)
    assert len(got) == n_updates
    assert got[0] != digests(tensors(policy), got[0])
    assert got[-1] == digests(tensors(screened.result.policy), got[-1])
    assert adam_steps(screened.work, "_actor", n_updates) == {n_updates}
    assert np.isfinite(screened.result.log["loss"]).all()
