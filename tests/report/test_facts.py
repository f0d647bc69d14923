"""The numbers behind the sentences, on examples done by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saerl_core import tables
from saerl_core.plan.strategies.mopps import MoppsSettings
from saerl_core.plans import OnlinePlan
from saerl_core.records import ProbeRow
from saerl_core.report import facts
from saerl_core.report.page import render_report
from saerl_core.report.summary import summary_text
from tests.report.factory import curation_run, full_run


def _row(features: str, spearman: float, n: int = 100) -> ProbeRow:
    return ProbeRow(features=features, scores={"spearman": spearman}, n=n)


def test_costs_by_purpose_by_hand() -> None:
    costs = tables.COSTS.check(
        pd.DataFrame(
            [
                ("prepare_policy", 10.0, 5, 50, 0),
                ("measure_pass_rates", 4.0, 16, 100, 8),
                ("obtain_sae", 6.0, 0, 0, 1000),
                ("train_policy", 30.0, 64, 400, 64),
                ("evaluate_policy", 5.0, 32, 200, 32),
            ],
            columns=["stage", "seconds", "n_rollouts", "n_generated_tokens", "n_prefill_tokens"],
        )
    )
    found = facts.cost_by_purpose(costs)
    assert found.loc["selection"].to_list() == [10.0, 16, 100, 1008]
    assert found["seconds"].sum() == costs["seconds"].sum()
    assert facts.selection_share(costs, "n_rollouts") == pytest.approx(16 / 80)
    assert math.isnan(facts.selection_share(tables.COSTS.empty(), "seconds"))


def test_order_proof_counts_missing_and_changed_batches() -> None:
    inputs = full_run(400, n_steps=6)
    assert inputs.training is not None
    proof = facts.order_proof(inputs)
    assert proof == facts.OrderProof(6, 6, 6, None)
    consumed = inputs.training.consumed
    short = replace(inputs, training=replace(inputs.training, consumed=consumed[consumed["step"] < 4]))
    proof = facts.order_proof(short)
    assert proof == facts.OrderProof(6, 4, 4, 4)
    assert not proof.holds


def test_an_online_order_is_compared_with_what_the_curriculum_handed_out() -> None:
    """The table of an online plan is filled from what was consumed: against it a forged order would pass."""
    inputs = full_run(400, n_steps=6)
    assert inputs.training is not None
    order = inputs.plan
    ids = pd.DataFrame({"prompt_id": ["p"]})
    made = OnlinePlan(order.table, order.decisions, ids, np.zeros((1, 0)), MoppsSettings(), 0, 8, 6, order.plan_hash)
    online = replace(inputs, plan=made)
    assert facts.order_proof(online) == facts.OrderProof(6, 6, 6, None)
    forged = inputs.training.consumed.copy()
    first_two = (forged["step"] == 3) & (forged["slot"] < 2)
    forged.loc[first_two, "prompt_id"] = forged.loc[first_two, "prompt_id"].to_numpy()[::-1]
    plan = replace(online.plan, table=inputs.plan.table.assign(prompt_id=forged["prompt_id"]))
    told = replace(online, plan=plan, training=replace(inputs.training, consumed=forged))
    assert facts.order_proof(told) == facts.OrderProof(6, 6, 5, 3)
    assert "NOT trained as planned" in summary_text(told)
    assert "first difference at step 3" in render_report(told)


def test_gain_is_paired_where_the_report_says_so() -> None:
    inputs = full_run(400, n_steps=4)
    gain = facts.gain_of(inputs)
    assert gain is not None
    assert gain.is_paired
    assert gain.stderr == pytest.approx(0.0114)
    assert gain.gain == pytest.approx(0.1381)
    unpaired = facts.gain_of(replace(inputs, evaluation_report=None))
    assert unpaired is not None
    assert not unpaired.is_paired
    assert unpaired.stderr == pytest.approx(math.hypot(*(math.sqrt(v * (1 - v) / 480) for v in (0.2812, 0.4193))))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (0.31, "cannot be told from no change"),
        (0.30, "stayed at 30.0 %: "),
        (0.20, "fell from 30.0 % to 20.0 %: \N{MINUS SIGN}10.0 points"),
    ],
)
def test_small_and_negative_gains_are_said_plainly(after: float, expected: str) -> None:
    assert expected in facts.gain_sentence(facts.Gain("pass@1", 0.30, after, 0.01, 100, True))


def test_sae_verdict_follows_the_paired_interval() -> None:
    table = (_row("sae", 0.5), _row("dense", 0.6), _row("length", 0.2), _row("mean", 0.0))
    behind = {"spearman_gain_lo": -0.15, "spearman_gain_hi": -0.02}
    same = {"spearman_gain_lo": -0.15, "spearman_gain_hi": 0.04}
    ahead = {"spearman_gain_lo": 0.01, "spearman_gain_hi": 0.2}
    for values, word in ((behind, "is worse than"), (same, "cannot be told from"), (ahead, "beats")):
        verdict = facts.sae_verdict(table, values, "spearman")
        assert verdict is not None
        assert f"the SAE {word} the best baseline, dense activations (Spearman 0.50 against 0.60" in verdict


def test_sae_verdict_without_interval_uses_a_rough_margin() -> None:
    wide = facts.sae_verdict((_row("sae", 0.5), _row("tfidf", 0.35)), {}, "spearman")
    narrow = facts.sae_verdict((_row("sae", 0.5, 10_000), _row("tfidf", 0.35, 10_000)), {}, "spearman")
    assert wide is not None
    assert narrow is not None
    assert "cannot be told from" in wide  # 2 / sqrt(100) = .2
    assert "below about 0.20 can be chance" in wide
    assert "beats" in narrow


def test_sae_verdict_needs_a_baseline() -> None:
    assert facts.sae_verdict((_row("sae", 0.5), _row("mean", 0.0)), {}, "spearman") is None
    assert facts.sae_verdict((_row("dense", 0.5),), {}, "spearman") is None
    assert facts.sae_verdict((_row("sae", float("nan")), _row("dense", 0.5)), {}, "spearman") is None


def test_summary_is_a_few_plain_lines() -> None:
    inputs = full_run(400, n_steps=6)
    lines = summary_text(inputs).splitlines()
    assert 5 <= len(lines) <= 8
    assert lines[0].startswith("Strategy saerl, seed 0: 6 steps of 32 prompts")
    assert any("28.1 % to 41.9 %" in line for line in lines)
    assert any("6 of 6 batches identical" in line for line in lines)
    assert any(
        line.startswith("Most of the time: prepare_policy 2 min 11 s, train_policy 1 min 36 s") for line in lines
    )


def test_summary_of_a_curation_run_says_that_nothing_was_trained() -> None:
    text = summary_text(curation_run(400))
    assert "Training is off" in text
    assert "held-out" not in text
