import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.build import plan_batches
from saerl_core.plan.curriculum import make_curriculum
from saerl_core.plan.realised import realised
from saerl_core.plan.storage import load_plan, save_plan
from saerl_core.plan.strategies.adaptive import AdaptiveSettings
from saerl_core.protocols import BatchOutcome
from saerl_core.records import PromptVectors
from saerl_core.tables import CONSUMED
from tests.plan.pools import Row, make_inputs

ROWS = [Row(f"p{i:02}", i % 3, i / 40, keep=i % 10 != 5, flags="cjk,no_answer" if i == 7 else "") for i in range(40)]
VECTORS = PromptVectors(tuple(row.prompt_id for row in ROWS), np.random.default_rng(0).standard_normal((40, 3)))


def planned(strategy="adaptive", vectors=VECTORS, seed=0, **own):
    config = PlanConfig(strategy={"name": strategy, **own}, prompts_per_step=4, n_steps=5)
    return plan_batches(make_inputs(ROWS), config, seed, vectors)


def played(plan):
    """Train in thought: every rollout of a prompt with an even number is right; the table of what was consumed."""
    curriculum, rows = make_curriculum(plan), []
    for step in range(plan.n_steps):
        batch = curriculum.next_batch(step)
        correct = [4 if int(p[1:]) % 2 == 0 else 0 for p in batch]
        curriculum.observe(BatchOutcome(step, tuple(batch), (4,) * 4, tuple(correct)))
        rows += [(step, slot, p, 4, c, step, True) for slot, (p, c) in enumerate(zip(batch, correct, strict=True))]
    return CONSUMED.check(pd.DataFrame(rows, columns=list(CONSUMED.columns)))


@pytest.mark.parametrize("strategy", ["adaptive", "mopps", "bandit"])
def test_training_makes_the_order_of_an_online_plan(strategy):
    plan, report = planned(strategy)
    assert plan.n_steps == report.values["n_steps"] == 5
    assert plan.table.empty
    assert "p07" not in set(plan.candidates["prompt_id"]), "it is not usable"
    consumed = played(plan)
    assert consumed["step"].nunique() == 5
    filled = realised(plan, consumed, make_inputs(ROWS).clusters, make_inputs(ROWS).difficulty)
    assert list(filled.table["prompt_id"]) == list(consumed["prompt_id"])
    assert filled.plan_hash == plan.plan_hash
    counts = filled.decisions.set_index("prompt_id")
    assert counts["n_uses"].sum() == 20
    assert counts.loc["p07", "reason"] == "not usable: no_answer"
    never = counts[counts["n_uses"] == 0].drop("p07")
    assert set(never["reason"]) == {"not chosen"}


def test_a_static_plan_is_what_it_was():
    plan, _ = planned("vanilla", None)
    assert realised(plan, played(plan), make_inputs(ROWS).clusters, make_inputs(ROWS).difficulty) is plan


def test_the_quality_gate_is_a_switch():
    gated, _ = planned(use_quality=True)
    assert {"p05", "p15"} & set(gated.candidates["prompt_id"]) == set()
    assert "p05" in set(planned()[0].candidates["prompt_id"])
    assert gated.decisions.set_index("prompt_id").loc["p05", "reason"] == "low quality"


@pytest.mark.parametrize(
    "other",
    [
        planned(seed=1),
        planned("mopps"),
        planned(prior_rollouts=1.0),
        planned(vectors=dataclasses.replace(VECTORS, matrix=VECTORS.matrix + 1)),
    ],
)
def test_whatever_changes_the_order_changes_the_hash(other):
    assert other[0].plan_hash != planned()[0].plan_hash


@pytest.mark.parametrize(("strategy", "reads_clusters"), [("mopps", False), ("adaptive", False), ("bandit", True)])
def test_a_signal_that_the_strategy_does_not_read_changes_nothing(strategy, reads_clusters):
    config = PlanConfig(strategy=strategy, prompts_per_step=4, n_steps=5)
    others = [dataclasses.replace(row, cluster_id=row.cluster_id + 1, difficulty=1 - row.difficulty) for row in ROWS]
    hashes = {plan_batches(make_inputs(rows), config, 0, VECTORS)[0].plan_hash for rows in (ROWS, others)}
    assert len(hashes) == 1 + reads_clusters


@pytest.mark.parametrize("strategy", ["adaptive", "bandit"])
def test_an_online_plan_comes_back_from_disk_and_does_the_same(tmp_path, strategy):
    plan, _ = planned(strategy)
    save_plan(plan, tmp_path)
    loaded = load_plan(tmp_path)
    assert loaded.plan_hash == plan.plan_hash
    assert played(loaded).equals(played(plan))
    assert {f.suffix for f in tmp_path.iterdir()} == {".json", ".parquet", ".npy"}


def test_edited_vectors_are_refused(tmp_path):
    plan, _ = planned()
    save_plan(plan, tmp_path)
    np.save(tmp_path / "vectors.npy", plan.vectors + 1)
    with pytest.raises(DataError, match=r"vectors.npy was changed after the plan was saved"):
        load_plan(tmp_path)


def test_edited_settings_are_refused(tmp_path):
    plan, _ = planned()
    save_plan(plan, tmp_path)
    card = json.loads((tmp_path / "plan.json").read_text())
    card["settings"]["prior_rollouts"] = 1.0
    (tmp_path / "plan.json").write_text(json.dumps(card))
    with pytest.raises(DataError, match="but the rest of it is"):
        load_plan(tmp_path)


def test_adaptive_needs_vectors_of_every_candidate():
    with pytest.raises(DataError, match="needs the vectors"):
        planned(vectors=None)
    with pytest.raises(DataError, match="prompt p39 has no vector"):
        planned(vectors=PromptVectors(VECTORS.prompt_ids[:-1], VECTORS.matrix[:-1]))


@pytest.mark.parametrize(
    ("field", "value"), [("half_life_rollouts", 9.0), ("cooldown_rollouts", 3), ("noise", 0.0), ("prior_rollouts", 2.0)]
)
def test_what_the_vectors_do_not_depend_on_is_not_among_their_settings(field, value):
    assert AdaptiveSettings(**{field: value}).vectors() == AdaptiveSettings().vectors()


@pytest.mark.parametrize(("field", "value"), [("features", "dense"), ("n_components", 7), ("use_likelihood", False)])
def test_what_the_vectors_depend_on_is(field, value):
    assert getattr(AdaptiveSettings(**{field: value}).vectors(), field) == value
