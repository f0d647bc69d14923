"""Screening with OpenRLHF: the driver's rounds with a fake trainer, the trainer's side with a scripted generator."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saerl_core.errors import BackendError
from saerl_core.tables import TRAINING_LOG
from saerl_core.training.openrlhf.controller import PlanNotInForceError, require_planned
from saerl_core.training.openrlhf.loader import CurriculumLoader, Place
from saerl_core.training.openrlhf.mailbox import Mailbox
from saerl_core.training.openrlhf.screened import ScreenedSamples
from tests.training.openrlhf.jobs import make_job
from tests.training.openrlhf.test_loader import Rows
from tests.training.world import FeedbackCurriculum, ListCurriculum, epochs, tiny_prompts, weights_of

IDS = list(tiny_prompts()["prompt_id"])
SIZE, GROUP = 4, 4


def test_what_was_handed_out_is_what_was_trained_and_screened(train):
    batches = epochs(IDS, SIZE, 4)
    curriculum = ListCurriculum(batches)
    result = train("", curriculum, n_steps=len(batches), screen="dynamic", max_rounds=20)
    consumed = result.consumed
    assert list(consumed["prompt_id"]) == [p for batch in batches for p in batch]
    assert [o.step for o in curriculum.outcomes] == list(range(len(batches)))
    trained = consumed[consumed["is_trained"]]
    assert set(trained.groupby("update").size()) == {SIZE}, "every update is a full batch"
    assert list(result.log["step"]) == list(range(trained["update"].nunique()))
    assert len(result.log) < len(batches)
    is_flat = consumed["n_correct"].isin([0, GROUP])
    before = consumed["update"] < consumed["update"].max()  # the last update takes what is left
    assert is_flat[before].any()
    assert not is_flat[before & consumed["is_trained"]].any()
    assert is_flat[before & ~consumed["is_trained"]].all()
    assert result.report.n_rollouts == len(consumed) * GROUP == result.log["n_rollouts_total"].iloc[-1]
    assert result.report.n_generated_tokens == 2 * result.report.n_rollouts, "as the trainer counted them"
    assert result.log["screened_frac"].max() > 0


@pytest.mark.parametrize("fake", ["die-between:2", "kill:2", "die-saving:2"])
def test_a_run_killed_inside_a_step_that_is_screened_ends_like_one_that_was_not(train, steps, fake):
    settings = {"screen": "dynamic", "n_steps": 8, "save_every_steps": 1}
    with pytest.raises(BackendError, match="killed by signal 9"):
        train(fake, **settings)
    done = [s for s, _ in steps]
    result = train(**settings)
    assert result.report.values["resumed_from_step"] == (1 if fake == "die-saving:2" else 2)
    assert done[-1] == 1
    whole = train(folder="whole", **settings)
    pd.testing.assert_frame_equal(result.consumed, whole.consumed)
    columns = [c for c in TRAINING_LOG.columns if c != "step_s"]
    assert result.log[columns].equals(whole.log[columns])
    one, two = weights_of(whole.policy), weights_of(result.policy)
    assert all(np.array_equal(one[k], two[k]) for k in one)


def test_a_finished_training_is_published_without_a_second_one(train, steps, monkeypatch):
    """Killed between the trainer's end and the policy: fewer updates than batches were made."""
    settings = {"screen": "dynamic", "n_steps": 8}
    with monkeypatch.context() as patch:
        patch.setattr("saerl_core.training.openrlhf.trainer._publish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(**settings)
    n = len(steps)
    assert 0 < len(train(**settings).log) == n
    assert len(steps) == n


def test_where_every_group_is_dead_the_batch_is_trained_and_the_page_is_told(train):
    prompts = tiny_prompts().assign(answer="never")
    result = train("", FeedbackCurriculum(IDS, SIZE), n_steps=6, screen="dynamic", max_rounds=3, prompts=prompts)
    assert len(result.log) == 2
    assert any("updates that 3 x 4 prompts" in note for note in result.report.notes)


def test_rollouts_of_another_prompt_are_refused(train):
    with pytest.raises(BackendError, match="was asked for: the trainer left the plan"):
        train("other:1", n_steps=6, screen="dynamic")


class Generator:
    """OpenRLHF's sample generator as far as screening uses it: groups of two, in reversed order, as they may come."""

    def __init__(self):
        self.args = SimpleNamespace(vllm=SimpleNamespace(enable_sleep=False))
        self.vllm_engines, self.asked = [], []

    def _generate_vllm(self, dataloader_iter, num_prompts, dynamic_filtering, **settings):
        assert not dynamic_filtering
        rows = [next(dataloader_iter) for _ in range(num_prompts)]
        self.asked.append([Place.of(labels[0]).prompt_id for _, _, labels, _ in rows])
        found = [Experience(labels) for _, _, labels, _ in reversed(rows) for _ in range(2)]
        return found, num_prompts, False


class Experience:
    def __init__(self, labels):
        self.labels, self.response_length = labels, np.array([3])


@pytest.fixture
def job(tmp_path):
    return make_job(tmp_path, screens=True)


def test_the_controller_samples_rounds_and_returns_what_was_chosen(job):
    mailbox, generator = Mailbox(job.mailbox_dir), Generator()
    loader = CurriculumLoader(Rows(["p0", "p1", "p2"]), mailbox, job)
    samples = ScreenedSamples(generator, loader, mailbox, 0.2)
    mailbox.send_batch(0, ["p2", "p0"])
    mailbox.send_more(0, 1, ["p1"], [])
    mailbox.send_more(0, 2, [], [0, 2])
    rollouts, share, n_prompts, is_over = samples(temperature=1.0)
    assert generator.asked == [["p2", "p0"], ["p1"]]
    assert [Place.of(r.labels[0]) for r in rollouts] == [Place("p2", 0, 0)] * 2 + [Place("p1", 0, 2)] * 2
    assert (share, n_prompts, is_over) == (None, 3, False)
    assert [mailbox.wait_for_sampled(0, n, lambda: 1 / 0) for n in (0, 1)] == [12, 6]
    assert loader.state_dict() == {"next_step": 1}
    labels = [label for r in rollouts for label in r.labels]
    require_planned(labels, 0, job, samples.chosen)
    with pytest.raises(PlanNotInForceError, match=r"4 rollouts, \[2, 0\] in its slots"):
        require_planned(labels, 0, job, [0, 1])
    mailbox.send_batch(1, [])
    assert samples() == ([], None, 0, True)


def test_a_driver_that_is_gone_is_said(job):
    mailbox = Mailbox(job.mailbox_dir)
    samples = ScreenedSamples(Generator(), CurriculumLoader(Rows(["p0"]), mailbox, job), mailbox, 0.2)
    mailbox.send_batch(0, ["p0"])
    with pytest.raises(BackendError, match="no round 1 of step 0 came within 0 s"):
        samples()
