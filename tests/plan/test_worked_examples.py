"""Plans small enough to be worked out with pencil and paper."""

import pandas as pd
import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.plan.build import plan_batches
from saerl_core.plan.hashing import plan_hash
from saerl_core.seeds import stage_rng
from tests.plan.pools import Row, make_inputs, steps_of

# Ids are given so that their alphabetical order is not the order of difficulty.
POOL = [
    Row("a9", 0, 0.1),
    Row("a3", 0, 0.2),
    Row("a7", 0, 0.3),
    Row("a1", 0, 0.4),
    Row("a5", 0, 0.5),
    Row("b8", 1, 0.2),
    Row("b2", 1, 0.4),
    Row("b6", 1, 0.6),
    Row("b4", 1, 0.8),
    Row("b0", 1, 0.9),
    Row("c1", 1, 0.7, keep=False),
    Row("c2", 0, 0.0, flags="duplicate"),
]


def plan(rows=POOL, seed=0, **settings):
    sizes = {"prompts_per_step": 2, "n_steps": None}
    sizes |= {name: settings.pop(name) for name in sizes if name in settings}
    strategy = {"name": settings.pop("strategy", "saerl"), **settings}
    return plan_batches(make_inputs(rows), PlanConfig(strategy=strategy, **sizes), seed)


def test_the_papers_plan_by_hand():
    """Clusters give [a9 a3] [a7 a1] + a5 and [b8 b2] [b6 b4] + b0; the remainders give [a5 b0].

    Places: j = 0 at 1/4, j = 1 at 3/4; the residual batch, alone at 1/2, must not come before the 3/4 of its clusters.
    rho = 0.5 exchanges one prompt of batches 0-1 and 2-3; the fifth batch has no partner.
    """
    built, report = plan(mix_frac=0.5)
    expected = pd.DataFrame(
        [
            (0, 0, 0, "a9", 0, 0.1, False),
            (0, 1, 0, "b2", 1, 0.4, True),
            (1, 0, 0, "b8", 1, 0.2, False),
            (1, 1, 0, "a3", 0, 0.2, True),
            (2, 0, 0, "a7", 0, 0.3, False),
            (2, 1, 0, "b4", 1, 0.8, True),
            (3, 0, 0, "b6", 1, 0.6, False),
            (3, 1, 0, "a1", 0, 0.4, True),
            (4, 0, 0, "a5", 0, 0.5, False),
            (4, 1, 0, "b0", 1, 0.9, False),
        ],
        columns=["step", "slot", "epoch", "prompt_id", "cluster_id", "difficulty", "is_mixed"],
    )
    pd.testing.assert_frame_equal(built.table, expected, check_dtype=False)
    assert built.n_steps == 5
    assert built.batch(3) == ["b6", "a1"]
    assert built.plan_hash == plan_hash(built.table.sample(frac=1, random_state=0))
    assert report.values == pytest.approx(
        {
            "n_steps": 5,
            "n_epochs": 1,
            "n_prompts": 10,
            "coherence": 0.5,  # every batch holds one prompt of each cluster
            "coverage": 1.0,
            "coverage_epoch": 1.0,
            "mixed_frac": 0.4,
            "difficulty_trend": 1 - 6 * 4 / (5 * 24),  # means .25 .2 .55 .5 .7: four ranks are off by one
            "left_out": 2,
            "left_out_not_usable": 1,
            "left_out_low_quality": 1,
            "left_out_remainder": 0,
            "left_out_beyond_n_steps": 0,
            "left_out_not_chosen": 0,
        }
    )


def test_every_prompt_has_a_decision():
    built, _ = plan(n_steps=2, mix_frac=0.0)
    reasons = built.decisions.set_index("prompt_id")["reason"].to_dict()
    assert steps_of(built.table) == [["a9", "a3"], ["b6", "b4"]]  # one batch of each window, one of each cluster
    assert reasons == {
        "a9": "planned",
        "a3": "planned",
        "b6": "planned",
        "b4": "planned",
        "a7": "beyond n_steps",
        "a1": "beyond n_steps",
        "b8": "beyond n_steps",
        "b2": "beyond n_steps",
        "a5": "beyond n_steps",
        "b0": "beyond n_steps",
        "c1": "low quality",
        "c2": "not usable: duplicate",
    }


def test_an_incomplete_batch_is_left_out_as_remainder():
    built, _ = plan(prompts_per_step=4, mix_frac=0.0)
    # clusters give [a9 a3 a7 a1] and [b8 b2 b6 b4]; a5 and b0 fill no batch
    assert steps_of(built.table) == [["a9", "a3", "a7", "a1"], ["b8", "b2", "b6", "b4"]]
    left = built.decisions[built.decisions["reason"] == "remainder"]
    assert left["prompt_id"].tolist() == ["a5", "b0"]
    assert left["first_step"].tolist() == [-1, -1]


def test_interleaved_grouping_alternates_clusters_inside_a_batch():
    rows = [Row("a", 0, 0.1), Row("b", 0, 0.2), Row("c", 0, 0.3), Row("d", 0, 0.4), Row("p", 1, 0.5), Row("q", 1, 0.9)]
    built, _ = plan(rows, prompts_per_step=3, grouping="interleaved", mix_frac=0.0)
    # places (r + 0.5) / n: a 1/8, p 1/4, b 3/8, c 5/8, q 3/4, d 7/8
    assert steps_of(built.table) == [["a", "p", "b"], ["c", "q", "d"]]


def test_without_clusters_the_uncalibrated_difficulty_orders_all_kept_prompts():
    built, _ = plan(use_clusters=False, mix_frac=0.0)
    assert steps_of(built.table) == [["a9", "a3"], ["b8", "a7"], ["a1", "b2"], ["a5", "b6"], ["b4", "b0"]]
    assert set(built.table["cluster_id"]) == {0, 1}  # known clusters are noted under every strategy


def test_without_quality_the_filter_is_off_but_unusable_prompts_stay_out():
    built, _ = plan(use_quality=False, prompts_per_step=11)
    assert set(built.table["prompt_id"]) == {row.prompt_id for row in POOL} - {"c2"}


def test_without_difficulty_the_order_in_a_cluster_is_a_seeded_shuffle():
    rows = [Row(f"p{i:02}", i % 2, i / 40) for i in range(40)]
    first, _ = plan(rows, seed=0, use_difficulty=False, mix_frac=0.0)
    again, _ = plan(rows, seed=0, use_difficulty=False, mix_frac=0.0)
    other, _ = plan(rows, seed=1, use_difficulty=False, mix_frac=0.0)
    assert first.plan_hash == again.plan_hash != other.plan_hash
    assert (first.table.groupby("step")["cluster_id"].nunique() == 1).all()


def test_difficulty_goes_easy_to_hard_over_all_usable_prompts():
    built, _ = plan(strategy="difficulty")
    # ties (a3, b8 at .2; a1, b2 at .4) by prompt id; c1 is of low quality and yet planned: no filter here
    assert steps_of(built.table) == [["a9", "a3"], ["b8", "a7"], ["a1", "b2"], ["a5", "b6"], ["c1", "b4"]]
    assert not built.table["is_mixed"].any()
    assert built.decisions.set_index("prompt_id").loc["b0", "reason"] == "remainder"


def test_vanilla_is_the_shuffle_of_the_epochs_stream():
    built, _ = plan(strategy="vanilla", seed=7, n_steps=10)
    usable = sorted(row.prompt_id for row in POOL if not row.flags)
    epochs = [list(stage_rng(7, f"plan/epoch={e}").permutation(usable))[:10] for e in (0, 1)]
    assert built.table["prompt_id"].tolist() == epochs[0] + epochs[1]
    assert built.table["epoch"].tolist() == [0] * 10 + [1] * 10
    assert epochs[0] != epochs[1]


def test_further_epochs_are_plans_of_their_own():
    built, report = plan(n_steps=7, mix_frac=0.0)
    steps = steps_of(built.table)
    assert steps[:5] == [["a9", "a3"], ["b8", "b2"], ["a7", "a1"], ["b6", "b4"], ["a5", "b0"]]
    assert steps[5:] == [["a9", "a3"], ["b6", "b4"]]  # the second epoch, thinned to the two steps that remain
    uses = built.decisions.set_index("prompt_id")["n_uses"]
    assert (uses["a9"], uses["a7"], uses["c1"]) == (2, 1, 0)
    assert report.notes == ("4 prompts are trained on more than once: the plan has 2 epochs",)
