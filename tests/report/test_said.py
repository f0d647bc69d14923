"""What the page, the closing lines and `saerl explain` say must be so for the run at hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import RunConfig
from saerl_core.plan.strategies.adaptive import AdaptiveSettings
from saerl_core.plans import OnlinePlan
from saerl_core.probe_rows import WorstPrompt
from saerl_core.records import BenchmarksReport, StageReport
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.page import render_report
from saerl_core.report.section_data import policy
from saerl_core.report.section_difficulty import difficulty
from saerl_core.report.section_plan import plan
from saerl_core.report.section_run import headline, ledger
from saerl_core.report.section_signals import probes
from saerl_core.report.summary import summary_text
from saerl_core.stages import CONTROL, CONTROL_STAGES, STAGES, name_of
from saerl_core.tables import COSTS
from tests.report.checking import read
from tests.report.factory import curation_run, full_run
from tests.report.test_control import items, run


@pytest.fixture(scope="module")
def made() -> ReportInputs:
    return full_run(400, n_steps=6)


def with_strategy(inputs: ReportInputs, name: str) -> ReportInputs:
    """Return the run with the configuration of another strategy, and two prompts below the cut that it rests on."""
    low = list(inputs.quality.loc[~inputs.quality["keep"], "prompt_id"])[:1]
    high = list(inputs.quality.loc[inputs.quality["keep"], "prompt_id"])[:1]
    worst = [WorstPrompt(prompt_id=p, score=0.1, broken=0.9, kept=k) for p, k in ((low[0], False), (high[0], True))]
    report = inputs.quality_report.model_copy(update={"worst": tuple(worst)})
    return replace(inputs, config=RunConfig.model_validate({"plan": {"strategy": name}}), quality_report=report)


def online(inputs: ReportInputs) -> ReportInputs:
    """Return the run with an online plan that was filled with the same order."""
    p, ids = inputs.plan, pd.DataFrame({"prompt_id": ["p"]})
    made = OnlinePlan(p.table, p.decisions, ids, np.zeros((1, 0)), AdaptiveSettings(), 0, 8, 6, p.plan_hash)
    return replace(inputs, plan=made)


def text_of(section: object) -> str:
    return repr(section)


def test_every_note_that_is_counted_is_shown() -> None:
    """A note of every stage, the control's included: the page shows each once under the name of its stage."""
    inputs = run(items("after", [1, 2]), items("control", [0, 1]))
    told = StageReport(stage="x", notes=("a",))
    sets = BenchmarksReport(stage="benchmarks")
    inputs = replace(inputs, benchmarks_report=sets, likelihoods_report=told, vectors_report=told, export_report=told)
    changes, training = {}, inputs.training
    for stage in STAGES.values():
        report = getattr(inputs, stage.report)
        assert report is not None, stage.step
        noted = report.model_copy(update={"notes": (f"note one of {stage.step}.", f"note two of {stage.step}.")})
        if stage.step == "train_policy":
            assert training is not None
            training = replace(training, report=noted)
        else:
            changes[stage.report] = noted
    inputs = replace(inputs, training=training, **changes)
    assert f"{2 * len(STAGES) + 1} notes from the stages; the report shows them." in summary_text(inputs)
    html = render_report(inputs)
    shown = read(html).texts["headline"]
    for stage in STAGES:
        assert shown.count(f"note one of {stage}.") == shown.count(f"note two of {stage}.") == 1
    assert "plan_control" in shown
    notes = next(block for block in headline(inputs).blocks if block.kind == "notes")
    assert f"{len(notes.items)} notes" in summary_text(inputs)


def test_one_note_is_one() -> None:
    inputs = full_run(300, n_steps=4)
    bare = {
        stage.report: report.model_copy(update={"notes": ()})
        for stage, report in inputs.reports()
        if stage.report not in ("plan_report", "training_report")
    }
    assert "1 note from the stages; the report shows it." in summary_text(replace(inputs, **bare))


@pytest.mark.parametrize(
    ("strategy", "verb", "said"),
    [
        ("saerl", "left out", "strategy saerl filters by quality and left them out"),
        ("vanilla", "below the cut, stayed", "strategy vanilla does not filter by quality, so they stayed in the pool"),
        ("adaptive", "below the cut, stayed", "does not filter by quality (plan.strategy.use_quality: false), so they"),
    ],
)
def test_who_was_left_out_for_quality_is_said_for_the_strategy_at_hand(
    made: ReportInputs, strategy: str, verb: str, said: str
) -> None:
    inputs = with_strategy(made, strategy)
    table = next(b for b in probes(inputs).blocks if getattr(b, "title", "").startswith("The 2 usable prompts"))
    assert [row[-1] for row in table.rows] == [verb, "above the cut"]
    assert said in table.caption
    n = int((inputs.train["usable"] & ~inputs.quality["keep"]).sum())
    assert table.caption.startswith(f"{n:,} of {int(inputs.train['usable'].sum()):,} usable prompts")
    decided = next(b for b in plan(inputs).blocks if getattr(b, "title", "") == "What became of every prompt")
    assert (said in decided.caption) == (strategy != "saerl")


def test_the_cut_that_leaves_out_nothing_says_so(made: ReportInputs) -> None:
    inputs = with_strategy(made, "saerl")
    inputs = replace(inputs, quality=inputs.quality.assign(keep=True))
    assert "No usable prompt falls below a cut" in text_of(probes(inputs))


def test_pre_training_is_told_with_the_steps_that_ran(made: ReportInputs) -> None:
    text = text_of(policy(curation_run(300)))
    assert "for 490 steps on the text of the pool (policy.pretrain_steps allowed 1,650)" in text
    curve = tuple((s, 1.0) for s in (25, 1950))
    whole = replace(made, policy_report=made.policy_report.model_copy(update={"loss_curve": curve}))
    assert "for 1,650 steps and then 300 steps on partly wrong" in text_of(policy(whole))


def test_the_curve_of_difficulty_is_told_for_the_plan_at_hand(made: ReportInputs) -> None:
    static, chosen = text_of(plan(made)), text_of(plan(online(made)))
    assert "The plan was made before training. Where the policy learns" in static
    assert "planned: mean and range" in static
    assert "made before training. " not in chosen
    assert "Strategy adaptive chose each batch while the policy trained" in chosen
    assert "chosen: mean and range" in chosen
    ranks = made.difficulty_report.model_copy(update={"label": "likelihood"})
    assert "is no rate of wrong answers" in text_of(plan(replace(online(made), difficulty_report=ranks)))


@pytest.mark.parametrize(
    ("label", "said"), [("likelihood", "difficulty is a rank here"), ("none", "every prompt has the same difficulty")]
)
def test_difficulty_without_labels_draws_no_histogram(made: ReportInputs, label: str, said: str) -> None:
    inputs = replace(
        made,
        difficulty=made.difficulty.assign(is_labelled=False),
        difficulty_report=made.difficulty_report.model_copy(update={"label": label}),
        pass_rates=None,
    )
    section = difficulty(inputs)
    assert said in text_of(section)
    assert "0 labelled" not in text_of(section)
    assert "keeps its label" not in section.lead
    assert "keeps its label" in difficulty(made).lead
    assert not any(b.kind in ("row", "figure") for b in section.blocks)


def test_a_single_cluster_has_no_range_and_no_silhouette(made: ReportInputs) -> None:
    card = made.clusters_report.cards[0].model_copy(update={"top_features": (), "size": 400})
    report = made.clusters_report.model_copy(
        update={"cards": (card,), "values": {"silhouette": 0.0, "nmi_topic": 0.0, "nmi_level": 0.0}}
    )
    inputs = replace(made, clusters=made.clusters.assign(cluster_id=0), clusters_report=report)
    text = read(render_report(inputs)).texts["clusters"]
    assert "it holds all 400 prompts" in text
    assert "400 to 400" not in text
    assert "needs two clusters" in text
    assert "0.00" not in text.split("Map of the clusters")[0]
    assert "No latent is stronger here than in the whole pool." in text


def test_the_ledger_says_what_was_not_planned(made: ReportInputs) -> None:
    section = ledger(made)
    assert "Not planned, but in the total of rollouts:" in section.blocks[0].text
    assert "by prepare_policy, which measured the competence of the policy it had made" in section.blocks[0].text
    table = next(b for b in section.blocks if getattr(b, "title", "") == "Every stage")
    planned = [int(row[3].replace(",", "")) for row in table.rows if row[0] not in ("", "total") and row[3]]
    total = next(row for row in table.rows if row[0] == "total")
    assert int(total[3].replace(",", "")) == sum(planned)
    assert "Not planned" not in text_of(ledger(replace(made, costs=COSTS.check(made.costs.assign(n_rollouts=0)))))


def test_a_note_of_the_control_has_the_name_of_its_stage() -> None:
    assert name_of("plan_batches") == "plan_batches"
    assert name_of("plan_batches", CONTROL) == "plan_control"
    assert {name_of(step, CONTROL) for step in ("plan_batches", "train_policy", "evaluate_policy")} == set(
        CONTROL_STAGES
    )
    assert name_of("plan_batches", "other") == "plan_batches of other"
