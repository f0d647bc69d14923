"""A pool smaller than a batch: curated all the same where nobody trains on it in this run."""

import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.build import plan_batches
from saerl_core.plan.small_pools import fit_batch_to_pool
from tests.plan.test_bad_input import ROWS, make_inputs


def test_a_batch_shrinks_to_the_pool_where_nobody_trains():
    inputs, config = make_inputs(ROWS), PlanConfig(strategy="saerl", prompts_per_step=32, n_steps=None)
    fitted, note = fit_batch_to_pool(inputs, config, is_trained=False)
    assert fitted.prompts_per_step == len(ROWS)
    assert note is not None
    assert f"only {len(ROWS)} prompts can be planned, fewer than plan.prompts_per_step = 32" in note
    assert plan_batches(inputs, fitted, 0)[0].n_steps == 1


def test_a_training_run_keeps_its_batch_and_refuses():
    inputs, config = make_inputs(ROWS), PlanConfig(strategy="saerl", prompts_per_step=32)
    assert fit_batch_to_pool(inputs, config, is_trained=True) == (config, None)
    with pytest.raises(DataError, match=r"fewer than plan\.prompts_per_step = 32"):
        plan_batches(inputs, config, 0)


def test_a_pool_that_fills_a_batch_changes_nothing():
    config = PlanConfig(strategy="saerl", prompts_per_step=2)
    assert fit_batch_to_pool(make_inputs(ROWS), config, is_trained=False) == (config, None)
