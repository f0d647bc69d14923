"""The table of stages is the only list: the steps, the page, the ledger and MLflow's names follow it."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from saerl_core.ledger import costs_table
from saerl_core.records import BenchmarksReport, StageReport
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.page import render_report
from saerl_core.stages import PARTS, PURPOSES, STAGES, purpose_of
from tests.contracts.test_steps import OF_A_COMPARISON
from tests.report.checking import SECTIONS, read
from tests.report.factory import full_run

ROOT = Path(__file__).resolve().parent.parent
STEPS = {path.stem for path in (ROOT / "steps").glob("[a-z]*.py")} - {"write_report"}


@pytest.fixture(scope="module")
def run():
    run = full_run(300, n_steps=4)
    more = {name: StageReport(stage=name) for name in ("likelihoods_report", "vectors_report", "export_report")}
    more = {**more, "benchmarks_report": BenchmarksReport(stage="benchmarks")}
    return replace(run, **more)


def test_every_step_is_a_row():
    assert set(STAGES) == STEPS - {*OF_A_COMPARISON, *PARTS}  # of a comparison: no report, no row of a ledger
    assert set(PARTS) <= STEPS
    assert set(PARTS.values()) <= set(STAGES)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_row_names_what_there_is(stage):
    assert stage.section in SECTIONS
    assert stage.purpose in PURPOSES
    assert all((ROOT / "saerl_core" / room).exists() for room in stage.rooms)
    assert stage.report in {field.name for field in fields(ReportInputs)} | {"training_report"}
    assert f" {stage.report}: " in (ROOT / "steps" / "write_report.py").read_text()


def test_no_two_rows_share_a_report_or_a_prefix():
    assert len({stage.report for stage in STAGES.values()}) == len({stage.prefix for stage in STAGES.values()})
    assert len({stage.prefix for stage in STAGES.values()}) == len(STAGES)


def test_the_ledger_names_a_purpose_for_every_stage():
    costs = costs_table((name, StageReport(stage=name, seconds=1.0)) for name in STAGES)
    assert [purpose_of(str(name)) for name in costs["stage"]] == [stage.purpose for stage in STAGES.values()]
    assert purpose_of("of another program") == "selection"


def test_a_note_of_any_stage_is_on_the_page_and_leads_to_its_section(run):
    noted = {
        stage.report: report.model_copy(
            update={"notes": (f"a note of {stage.step}",), "values": {**report.values, "is_fallback": 1.0}}
        )
        for stage in STAGES.values()
        for report in [getattr(run, stage.report)]
    }
    training = replace(run.training, report=noted.pop("training_report"))
    html = render_report(replace(run, training=training, **noted))
    assert read(html).errors == []
    for stage in STAGES.values():
        assert f'<a href="#{stage.section}">{stage.step}</a> a note of {stage.step}' in html
