"""Screening: what was asked for is what was trained on and screened, in order, and nothing is counted twice."""

import signal

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import TrainingConfig
from saerl_core.plan.online_curriculum import OnlineCurriculum
from saerl_core.records import PolicyRef
from saerl_core.rollouts.grading import Verdict
from saerl_core.tables import TRAINING_LOG
from saerl_core.training.embedded.screening import SampledGroup, collect_groups
from saerl_core.training.run import train_policy
from saerl_core.training.session import PromptRow, TrainingSession
from tests.training.test_handed_out import METRICS, mopps
from tests.training.world import FeedbackCurriculum, ListCurriculum, epochs, tiny_job, tiny_prompts, weights_of

IDS = list(tiny_prompts()["prompt_id"])
SIZE, GROUP, N_STEPS = 4, 4, 8


class Scripted:
    """Samples as told: the number of right rollouts of each prompt, and how often and how much it was asked."""

    def __init__(self, correct):
        self.correct, self.calls = correct, []

    def __call__(self, rows, n):
        self.calls.append((n, [row.prompt_id for row in rows]))
        return [self.group(row, n) for row in rows]

    def group(self, row, n):
        right = [i < self.correct[row.prompt_id] for i in range(n)]
        verdicts = [Verdict(r, "equal" if r else "different") for r in right]
        return SampledGroup(row, [[1]] * n, [[0.0]] * n, [str(r) for r in right], verdicts)


def session_of(tmp_path, batches, **changes):
    job = tiny_job(
        PolicyRef(path="nowhere", policy_id="p"), tmp_path / "w", n_steps=len(batches), prompts_per_step=2, **changes
    )
    curriculum = ListCurriculum(batches)
    return TrainingSession(job, curriculum, lambda *_: None), curriculum


def updates(session, sample):
    """Collect and finish until nothing is left; what was trained on in each update."""
    trained = []
    while not session.is_done:
        collected = collect_groups(session, sample)
        session.finish(METRICS, collected.chosen)
        trained.append([collected.groups[i].row.prompt_id for i in collected.chosen])
    return trained


def test_dynamic_by_hand(tmp_path):
    """p01 and p03 are dead: each update takes the next two that are not, and the last one all that is left."""
    session, curriculum = session_of(tmp_path, [["p00", "p01"], ["p02", "p03"], ["p04", "p05"]], screen="dynamic")
    sample = Scripted({"p00": 1, "p01": 0, "p02": 3, "p03": 4, "p04": 2, "p05": 2})
    assert updates(session, sample) == [["p00", "p02"], ["p04", "p05"]]
    assert sample.calls == [(4, ["p00", "p01"]), (4, ["p02"]), (4, ["p03"]), (4, ["p04", "p05"])]
    consumed = session.consumed()
    assert list(consumed["prompt_id"]) == ["p00", "p01", "p02", "p03", "p04", "p05"]
    assert list(consumed["update"]) == [0, 0, 0, 1, 1, 1]
    assert list(consumed["is_trained"]) == [True, False, True, False, True, True]
    assert [o.n_correct for o in curriculum.outcomes] == [(1, 0), (3, 4), (2, 2)], "the dead ones are observed too"
    assert list(session.log()["screened_frac"]) == pytest.approx([1 / 3, 1 / 3])
    assert list(session.log()["zero_std_frac"]) == pytest.approx([1 / 3, 1 / 3])


def test_pilot_by_hand(tmp_path):
    """Pilots of two: p01 is wrong twice and p02 right twice; the others get their other two rollouts."""
    session, curriculum = session_of(tmp_path, [["p00", "p01"], ["p02", "p03"]], screen="pilot")
    sample = Scripted({"p00": 1, "p01": 0, "p02": 2, "p03": 1})
    assert updates(session, sample) == [["p00", "p03"]]
    assert sample.calls == [(2, ["p00", "p01"]), (2, ["p00"]), (2, ["p02", "p03"]), (2, ["p03"])]
    assert [o.n_rollouts for o in curriculum.outcomes] == [(4, 2), (2, 4)]
    assert [o.n_correct for o in curriculum.outcomes] == [(2, 0), (2, 2)]


@pytest.mark.parametrize("screen", ["dynamic", "pilot"])
def test_where_every_group_is_dead_the_batch_is_trained_and_the_page_is_told(tmp_path, screen):
    session, _ = session_of(tmp_path, [["p00", "p01"]] * 6, screen=screen, max_rounds=3)
    sample = Scripted({"p00": 0, "p01": 0})
    trained = updates(session, sample)
    assert trained == [["p00", "p01"]] * 2, "three batches an update, of which one is trained"
    [note] = session.report().notes
    assert note.startswith("updates that 3 x 2 prompts (training.max_rounds x plan.prompts_per_step) could not fill")


def test_a_flat_pilot_fills_a_place_of_the_batch_with_its_own_rollouts():
    row = PromptRow("p00", "a", "a")
    group = SampledGroup(row, [[1], [2]], [[0.1], [0.2]], ["a", "b"], [Verdict(False, "different")] * 2).filled(5)
    assert group.row is row
    assert group.completion_ids == [[1], [2], [1], [2], [1]]
    assert group.texts == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize("screen", ["none", "dynamic", "pilot"])
def test_what_was_handed_out_is_what_was_trained_and_screened(policy, tmp_path, steps, screen):
    batches = epochs(IDS, SIZE, 4)
    curriculum = ListCurriculum(batches)
    rounds = {} if screen == "none" else {"max_rounds": 20}
    job = tiny_job(policy, tmp_path / "w", n_steps=len(batches), screen=screen, **rounds)
    result = train_policy(job, curriculum, steps)
    consumed = result.consumed
    assert list(consumed["prompt_id"]) == [p for batch in batches for p in batch]
    assert [o.step for o in curriculum.outcomes] == list(range(len(batches)))
    trained = consumed[consumed["is_trained"]]
    assert set(trained.groupby("update").size()) == {SIZE}, "every update is a full batch"
    assert list(result.log["step"]) == list(range(trained["update"].nunique()))
    assert result.report.n_rollouts == consumed["n_rollouts"].sum() == result.log["n_rollouts_total"].iloc[-1]
    if screen == "none":
        assert len(result.log) == len(batches)
        return
    assert len(result.log) < len(batches)
    is_flat = consumed["n_correct"].isin([0]) | (consumed["n_correct"] == consumed["n_rollouts"])
    before = consumed["update"] < consumed["update"].max()  # the last update takes what is left
    assert not is_flat[before & consumed["is_trained"]].any()
    assert is_flat[before & ~consumed["is_trained"]].all()
    if screen == "pilot":
        assert set(consumed["n_rollouts"][~consumed["is_trained"] & is_flat]) == {2}
        assert set(consumed["n_rollouts"][before & consumed["is_trained"]]) == {GROUP}
    else:
        assert consumed["n_rollouts"].sum() == len(batches) * SIZE * GROUP, "as many rollouts as without screening"


def test_held_out_scores_follow_the_plan_and_the_last_update_has_them(policy, tmp_path, steps):
    batches = epochs(IDS, SIZE, 4)
    job = tiny_job(
        policy, tmp_path / "w", n_steps=12, screen="dynamic", eval_every_steps=3, eval_prompts=tiny_prompts(5)
    )
    log = train_policy(job, ListCurriculum(batches), steps).log
    assert 1 <= log["eval_pass_at_1"].notna().sum() <= 4
    assert np.isfinite(log["eval_pass_at_1"].iloc[-1])


@pytest.mark.slow
@pytest.mark.parametrize("screen", ["dynamic", "pilot"])
def test_a_run_killed_inside_a_step_that_is_screened_ends_like_one_that_was_not(
    killed, policy, tmp_path, steps, screen
):
    work_dir = tmp_path / "killed"
    settings = {"screen": screen, "save_every_steps": 1}
    told = killed(policy, work_dir, "drawing:2", "after:2", **settings)
    assert [line.split()[1] for line in told] == [str(-signal.SIGKILL)] * 2
    job = tiny_job(policy, work_dir, n_steps=N_STEPS, **settings)
    result = train_policy(job, FeedbackCurriculum(IDS, SIZE), steps)
    other = tiny_job(policy, tmp_path / "whole", n_steps=N_STEPS, **settings)
    whole = train_policy(other, FeedbackCurriculum(IDS, SIZE), lambda *_: None)
    assert result.report.values["resumed_from_step"] == 2
    pd.testing.assert_frame_equal(result.consumed, whole.consumed)
    columns = [c for c in TRAINING_LOG.columns if c != "step_s"]
    assert result.log[columns].equals(whole.log[columns])
    assert result.report.n_rollouts == whole.report.n_rollouts
    one, two = weights_of(whole.policy), weights_of(result.policy)
    assert all(np.array_equal(one[k], two[k]) for k in one), "the weights are the same bit for bit"


def test_an_online_curriculum_resumes_between_two_halves_of_its_batch():
    """A checkpoint may lie in the middle of a batch: its rewards come after the resume."""
    first = mopps()
    batch = first.next_batch(0)
    second = mopps()
    second.load_state_dict(first.state_dict())
    assert isinstance(second, OnlineCurriculum)
    from saerl_core.protocols import BatchOutcome

    for curriculum in (first, second):
        curriculum.observe(BatchOutcome(0, tuple(batch), (4,) * len(batch), (2,) * len(batch)))
    assert first.next_batch(1) == second.next_batch(1)


def test_screening_is_off_by_default():
    assert TrainingConfig().screen == "none"
