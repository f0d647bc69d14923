"""Pools and signals that cannot be planned: one sentence each."""

from dataclasses import replace

import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.build import plan_batches
from tests.plan.pools import Row, make_inputs

ROWS = [Row(f"p{i}", 0, i / 10) for i in range(6)]


def refused(inputs, match, **settings):
    with pytest.raises(DataError, match=match) as caught:
        plan_batches(inputs, PlanConfig(**{"strategy": "saerl", "prompts_per_step": 4, **settings}), 0)
    assert "\n" not in str(caught.value)


def test_an_empty_pool():
    inputs = make_inputs(ROWS)
    refused(replace(inputs, **{k: v.iloc[:0] for k, v in vars(inputs).items()}), "none of the 0 prompts")


def test_no_usable_prompt():
    rows = [replace(row, flags="empty_answer") for row in ROWS]
    refused(make_inputs(rows), r"none of the 6 prompts of the pool can be planned \(6 not usable, 0 of low quality\)")


def test_nothing_kept():
    rows = [replace(row, keep=False) for row in ROWS]
    refused(make_inputs(rows), r"0 not usable, 6 of low quality.*let quality leave out less")


def test_fewer_prompts_than_a_batch():
    refused(
        make_inputs(ROWS),
        "only 6 of 6 prompts can be planned.*fewer than plan.prompts_per_step = 7; set it to at most 6",
        prompts_per_step=7,
    )


def test_exactly_one_batch_is_enough():
    plan, _ = plan_batches(make_inputs(ROWS), PlanConfig(strategy="saerl", prompts_per_step=6, n_steps=None), 0)
    assert plan.n_steps == 1


@pytest.mark.parametrize("signal", ["quality", "clusters", "difficulty"])
def test_a_signal_that_lacks_a_prompt(signal):
    inputs = make_inputs(ROWS)
    refused(
        replace(inputs, **{signal: getattr(inputs, signal).iloc[1:]}),
        f"table '{signal}' has no row for 1 of 6 prompts of the pool, first p0",
    )


def test_a_signal_of_another_pool():
    inputs = make_inputs(ROWS)
    refused(
        replace(inputs, prompts=inputs.prompts.iloc[:5]),
        "table 'quality' has 1 rows for prompts that the pool does not",
    )


def test_a_signal_with_two_rows_for_a_prompt():
    inputs = make_inputs(ROWS)
    twice = inputs.clusters.iloc[[0, 0, 1, 2, 3, 4, 5]]
    refused(replace(inputs, clusters=twice), "table 'clusters' holds key .* more than once")


def test_a_difficulty_that_is_missing():
    inputs = make_inputs(ROWS)
    inputs.difficulty.loc[2, "difficulty"] = float("nan")
    refused(inputs, "column 'difficulty' of table 'difficulty' has 1 missing values")
