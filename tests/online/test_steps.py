"""One step after another: what is asked for, what comes back, and everything that comes at the wrong time."""

import json

import pytest

from saerl_core import BatchOutcome, export_plan, make_curriculum, make_plan
from saerl_core.errors import ConfigError, DataError
from saerl_core.online.pool import pool_rows, write_pool
from saerl_core.online.steps import Steps, open_steps
from saerl_core.records import PromptFormat
from tests.export.conftest import json_lines
from tests.online.conftest import GROUP, SIZE, STEPS


def rewards_for(ids):
    """Half of the prompts are solved, by their number."""
    return {p: [float(int(p[1:]) % 2)] * 2 + [0.0] * (GROUP - 2) for p in ids}


def drive(steps):
    """Train to the end and return the batches."""
    batches = []
    while not steps.is_done:
        batches.append(steps.ask(SIZE, "size"))
        steps.tell(rewards_for(batches[-1]))
    return batches


def test_the_batches_are_those_of_the_curriculum_itself(plan):
    curriculum, wanted = make_curriculum(plan), []
    for step in range(STEPS):
        ids = curriculum.next_batch(step)
        n_correct = tuple(2 * (int(p[1:]) % 2) for p in ids)
        curriculum.observe(BatchOutcome(step, tuple(ids), (GROUP,) * SIZE, n_correct))
        wanted.append(ids)
    assert drive(Steps(plan)) == wanted


def test_rewards_decide_what_comes_next(plan):
    wanted, other = drive(Steps(plan)), Steps(plan)
    batches = []
    while not other.is_done:
        batches.append(other.ask(SIZE, "size"))
        other.tell({p: [1.0] * GROUP for p in batches[-1]})
    assert batches[0] == wanted[0]
    assert batches != wanted


def test_a_saved_state_goes_on_as_if_nothing_had_happened(plan, plan_folder):
    wanted, first = drive(Steps(plan)), Steps(plan)
    for _ in range(2):
        first.tell(rewards_for(first.ask(SIZE, "size")))
    again = open_steps(plan_folder)
    again.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert (again.step, drive(again)) == (2, wanted[2:])


def test_a_prompt_that_stands_twice_in_a_batch_shares_its_rewards(prompts):
    two = make_plan(prompts[:2], "vanilla", prompts_per_step=2, n_steps=1)
    twice = two.table.assign(prompt_id="p00")
    steps = Steps(type(two)(twice, *(getattr(two, n) for n in list(two.__dataclass_fields__)[1:])))
    assert steps.ask(2, "size") == ["p00", "p00"]
    steps.tell({"p00": [1.0, 0.0, 1.0, 0.0]})
    assert steps.is_done


def test_a_prompt_without_rewards_counts_as_not_sampled(plan):
    steps = Steps(plan)
    [first, *_] = steps.ask(SIZE, "size")
    steps.tell({first: [1.0] * GROUP})
    assert len(steps.ask(SIZE, "size")) == SIZE


def test_what_comes_at_the_wrong_time_or_is_wrong(plan):
    steps = Steps(plan)
    with pytest.raises(DataError, match=r"rewards came for prompt p00 at step 0, which asked for 0 prompts"):
        steps.tell({"p00": [1.0]})
    with pytest.raises(ConfigError, match="asks for 4 prompts, a step of the plan has 3; set the_size"):
        steps.ask(4, "the_size")
    ids = steps.ask(SIZE, "size")
    with pytest.raises(DataError, match="before the rewards of step 0 are in; switch off dynamic sampling"):
        steps.ask(SIZE, "size")
    for rewards, told in (
        ({"other": [1.0]}, "rewards came for prompt other at step 0, which asked for 3 prompts"),
        ({}, "no rewards came at step 0"),
        ({ids[0]: []}, "no rewards came at step 0"),
        ({ids[0]: [float("nan")]}, "a reward of step 0 is nan"),
    ):
        with pytest.raises(DataError, match=told):
            steps.tell(rewards)
    assert steps.step == 0
    steps.tell(rewards_for(ids))
    drive(steps)
    with pytest.raises(DataError, match="the plan has 5 steps, and all are trained"):
        steps.ask(SIZE, "size")
    with pytest.raises(ConfigError, match="correct_at is nan"):
        Steps(plan, float("nan"))


def test_a_state_of_another_plan_or_of_nothing(plan, prompts):
    other = make_plan(prompts, "mopps", prompts_per_step=SIZE, n_steps=STEPS, seed=1)
    with pytest.raises(DataError, match="the saved state belongs to plan"):
        Steps(plan).load_state_dict(Steps(other).state_dict())
    with pytest.raises(DataError, match="the saved state of the curriculum cannot be read"):
        Steps(plan).load_state_dict({"current_index": 3})


def test_the_pool_is_what_the_plan_may_ask_for(plan, prompts, tmp_path):
    assert write_pool(plan, prompts, tmp_path / "pool.jsonl", PromptFormat(True, "Be brief.", " Think.")) == 16
    rows = json_lines(tmp_path / "pool.jsonl")
    texts = prompts.set_index("prompt_id")["prompt"]
    assert {row["prompt_id"] for row in rows} == set(texts.index)
    first = rows[0]
    assert first["metadata"] == {"prompt_id": first["prompt_id"]}
    assert first["label"] == first["answer"]
    assert first["prompt"][0] == {"role": "system", "content": "Be brief."}
    assert first["prompt"][1]["content"] == texts[first["prompt_id"]] + " Think."
    assert isinstance(pool_rows(plan, prompts, None)[0]["prompt"], str)


def test_prompts_of_another_pool(plan, prompts, tmp_path):
    with pytest.raises(DataError, match="2 of the 16 prompts of the plan are not among the 14 prompts given"):
        pool_rows(plan, prompts[2:], None)
    with pytest.raises(DataError, match="1 prompts of the plan have no answer, the first is p00"):
        pool_rows(plan, prompts.assign(answer=["", *prompts["answer"][1:]]), None)
    with pytest.raises(DataError, match="could not be written"):
        write_pool(plan, prompts, tmp_path / "none" / "pool.jsonl")
    with pytest.raises(DataError, match="chooses every batch from the rewards"):
        export_plan(plan, prompts, "trl", tmp_path / "out")
