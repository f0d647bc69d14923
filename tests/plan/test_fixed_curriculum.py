"""The curriculum that hands out a plan."""

import json

import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.build import plan_batches
from saerl_core.plan.fixed_curriculum import FixedCurriculum
from saerl_core.protocols import BatchOutcome, Curriculum
from tests.plan.pools import Row, make_inputs, steps_of


def build(n=12, strategy="saerl"):
    rows = [Row(f"p{i:02}", i % 2, i / n) for i in range(n)]
    return plan_batches(make_inputs(rows), PlanConfig(strategy=strategy, prompts_per_step=3, n_steps=None), 0)[0]


def outcome(step, prompt_ids):
    n = len(prompt_ids)
    return BatchOutcome(step=step, prompt_ids=tuple(prompt_ids), n_rollouts=(8,) * n, n_correct=(3,) * n)


def test_it_hands_out_the_plan_whatever_the_rewards():
    plan = build()
    curriculum: Curriculum = FixedCurriculum(plan)
    for step, expected in enumerate(steps_of(plan.table)):
        batch = curriculum.next_batch(step)
        assert batch == expected == plan.batch(step)
        curriculum.observe(outcome(step, batch))


def test_changing_a_batch_does_not_change_the_plan():
    curriculum = FixedCurriculum(build())
    curriculum.next_batch(0).clear()
    assert len(curriculum.next_batch(0)) == 3


@pytest.mark.parametrize("step", [-1, 4, 100])
def test_a_step_outside_the_plan_is_refused(step):
    with pytest.raises(DataError, match=f"step {step} is not in the plan, which has steps 0 to 3"):
        FixedCurriculum(build()).next_batch(step)


def test_an_outcome_of_another_batch_is_refused():
    curriculum = FixedCurriculum(build())
    batch = curriculum.next_batch(0)
    with pytest.raises(DataError, match="outcome of step 0 differs from the plan from slot 1 on"):
        curriculum.observe(outcome(0, [batch[0], batch[2], batch[1]]))
    with pytest.raises(DataError, match=r"from slot 2 on \(3 prompts planned, 2 observed\)"):
        curriculum.observe(outcome(0, batch[:2]))


def test_an_outcome_before_its_batch_is_refused():
    plan = build()
    curriculum = FixedCurriculum(plan)
    curriculum.next_batch(0)
    with pytest.raises(DataError, match="an outcome came for step 1, but the next batch to hand out is that of step 1"):
        curriculum.observe(outcome(1, plan.batch(1)))


def test_the_state_survives_json_and_names_the_batch_that_is_due():
    plan = build()
    curriculum = FixedCurriculum(plan)
    curriculum.observe(outcome(0, curriculum.next_batch(0)))
    curriculum.observe(outcome(1, curriculum.next_batch(1)))
    state = json.loads(json.dumps(curriculum.state_dict()))
    assert state == {"plan_hash": plan.plan_hash, "next_step": 2}
    resumed = FixedCurriculum(plan)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    resumed.observe(outcome(1, plan.batch(1)))  # the outcome of the step before may come again after a resume
    assert resumed.next_batch(2) == plan.batch(2)


def test_the_state_of_another_plan_is_refused_with_both_hashes():
    plan, other = build(), build(strategy="vanilla")
    with pytest.raises(DataError) as caught:
        FixedCurriculum(plan).load_state_dict(FixedCurriculum(other).state_dict())
    assert plan.plan_hash in str(caught.value)
    assert other.plan_hash in str(caught.value)


@pytest.mark.parametrize("step", [None, -1, 5, "2"])
def test_a_damaged_state_is_refused(step):
    plan = build()
    with pytest.raises(DataError, match=r"next_step .* is not within 0 to 4"):
        FixedCurriculum(plan).load_state_dict({"plan_hash": plan.plan_hash, "next_step": step})
