"""What the curriculum handed out is kept beside what was trained, with what it expected."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saerl_core.plan.online_curriculum import OnlineCurriculum
from saerl_core.plan.strategies.base import OnlineSettings
from saerl_core.plan.strategies.mopps import BetaChooser
from saerl_core.records import PolicyRef, TrainResult
from saerl_core.tables import HANDED_OUT
from saerl_core.training import run as training
from saerl_core.training.consumed import batches_of
from saerl_core.training.session import GradedGroup, TrainingSession
from tests.training.world import ListCurriculum, epochs, tiny_job, tiny_prompts

IDS = tuple(tiny_prompts()["prompt_id"])
METRICS = {"completion_tokens_mean": 3.0, "truncated_frac": 0.0, "loss": 0.0, "lr": 1e-3, "step_s": 0.1}


class Backend:
    """Trains nothing and finishes every step; each prompt is right as often as its place in the pool."""

    def check(self, job):
        pass

    def train(self, job, curriculum, on_step):
        session = TrainingSession(job, curriculum, on_step)
        while session.next_step < job.n_steps:
            rows = session.pull(job.prompts_per_step)
            session.sampled([GradedGroup(r.prompt_id, 4, IDS.index(r.prompt_id) % 5) for r in rows])
            session.finish(METRICS)
        return TrainResult(job.policy, session.log(), session.consumed(), session.report())


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "make_trainer", lambda config: Backend())
    job = tiny_job(PolicyRef(path="nowhere", policy_id="p"), tmp_path, n_steps=3)
    return lambda curriculum: training.train_policy(job, curriculum, lambda *_: None)


def mopps():
    return OnlineCurriculum(
        BetaChooser(len(IDS), half_life_rollouts=400.0, target=0.5),
        IDS,
        strategy="mopps",
        plan_hash="r",
        prompts_per_step=4,
        n_steps=3,
        settings=OnlineSettings(name="any", cooldown_rollouts=0),
        seed=0,
    )


def test_a_fixed_order_is_kept_without_expectations(train):
    result = train(ListCurriculum(epochs(list(IDS), 4, 1)))
    table = HANDED_OUT.check(result.handed_out)
    assert [list(rows["prompt_id"]) for _, rows in table.groupby("step")] == epochs(list(IDS), 4, 1)
    assert table["predicted"].isna().all()


def test_an_online_order_is_kept_with_what_was_expected(train):
    result = train(mopps())
    table = result.handed_out
    assert table[["step", "slot", "prompt_id"]].equals(result.consumed[["step", "slot", "prompt_id"]])
    assert table["predicted"].between(0, 1).all()
    assert table.loc[table["step"] == 2, "predicted"].nunique() > 1, "it has learnt"


def test_it_is_the_same_after_a_resume(train):
    whole = train(mopps()).handed_out
    batches = [list(rows["prompt_id"]) for _, rows in whole.groupby("step")]
    first = training.RecordedCurriculum(mopps())
    assert first.next_batch(0) == batches[0]
    second = training.RecordedCurriculum(mopps())
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.next_batch(0) == batches[0], "asked again: its rewards were lost"
    pd.testing.assert_frame_equal(second.handed_out(), whole[whole["step"] == 0])


def test_a_backend_cannot_set_it(train, monkeypatch):
    forged = HANDED_OUT.check(
        pd.DataFrame({"step": [0], "slot": [0], "prompt_id": ["p00"], "predicted": [np.nan]}).assign(
            sd=np.nan, n_seen=np.nan, why=None
        )
    )

    class Forging(Backend):
        def train(self, *given):
            return replace(super().train(*given), handed_out=forged)

    monkeypatch.setattr(training, "make_trainer", lambda config: Forging())
    result = train(ListCurriculum(epochs(list(IDS), 4, 1)))
    assert len(result.handed_out) == 12
    assert len(batches_of(result.consumed)) == 3
