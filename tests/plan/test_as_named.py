"""A plan that is not what its strategy's name says: told in a note."""

import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.plan.as_named import naming_notes
from saerl_core.plan.build import plan_batches
from tests.plan.pools import Row, make_inputs


def notes_of(n_clusters, strategy, n=48):
    inputs = make_inputs([Row(f"p{i:03}", i % n_clusters, i / n) for i in range(n)])
    config = PlanConfig(strategy=strategy, prompts_per_step=8, n_steps=None)
    return naming_notes(plan_batches(inputs, config, 0)[0], config)


def test_clusters_that_fill_no_batch_are_told():
    (note,) = notes_of(12, "saerl")  # 4 prompts a cluster, 8 a batch
    assert note.startswith("this is not the paper's plan: no batch comes from one cluster (the largest has ")
    assert "plan.prompts_per_step = 8" in note


def test_clusters_that_fill_batches_need_no_word():
    assert notes_of(3, "saerl") == ()


def test_strategies_that_promise_no_cluster_need_no_word():
    assert notes_of(12, "difficulty") == ()
    assert notes_of(12, {"name": "saerl", "use_clusters": False}) == ()
    assert notes_of(12, {"name": "saerl", "grouping": "interleaved"}) == ()


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_learnability_of_prompts_that_are_all_dead_is_told(rate):
    inputs = make_inputs([Row(f"p{i:02}", 0, 1 - rate) for i in range(16)])
    config = PlanConfig(strategy="learnability", prompts_per_step=8, n_steps=None)
    (note,) = naming_notes(plan_batches(inputs, config, 0)[0], config)
    assert note.startswith(
        f"no planned prompt is expected to teach: all predicted pass rates lie between {rate:.2f} and"
    )


def test_learnability_with_one_live_prompt_needs_no_word():
    assert notes_of(3, "learnability") == ()
