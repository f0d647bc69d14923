"""Groups that would teach nothing: the words first, the table, and the check against a shuffle's first steps."""

from dataclasses import replace

import pandas as pd
import pytest

from saerl_core.config.load import validate
from saerl_core.records import EvaluationReport, PlanReport, TrainingReport
from saerl_core.report.inputs import ControlFacts
from saerl_core.report.page import render_report
from saerl_core.report.section_advice import advice_blocks, advice_of, dead_share
from saerl_core.stats import wilson
from saerl_core.tables import PASS_RATES
from tests.report.checking import read
from tests.report.factory import curation_run, full_run


def rates(n_correct, n):
    table = pd.DataFrame({"prompt_id": [f"p{i}" for i in range(len(n_correct))], "n_correct": n_correct})
    table = table.assign(n_rollouts=n, n_unknown=0, mean_completion_tokens=5.0, truncated_frac=0.0)
    return PASS_RATES.check(table.assign(pass_rate=table["n_correct"] / n))


@pytest.fixture(scope="module")
def run():
    return replace(full_run(500, n_steps=12), config=validate({"training": {"group_size": 8}}))


def as_shuffle(run, dead):
    log = run.training.log.assign(zero_std_frac=[dead] * 10 + [0.0] * (len(run.training.log) - 10))
    return replace(run, plan=replace(run.plan, strategy="vanilla"), training=replace(run.training, log=log))


def test_half_of_the_prompts_always_and_half_never(run):
    """512 rollouts each: the rates are as good as exact, every group is dead."""
    advice, whence = advice_of(replace(run, pass_rates=rates([0] * 20 + [512] * 20, 512)))
    assert advice.selections[0].live == pytest.approx([0.0] * 5, abs=1e-3)
    assert whence == "measured with up to 512 rollouts on 40 prompts"


def test_rates_that_came_with_the_data_are_exact(run):
    """All at 0.5: groups of 2 are dead half of the time, of 8 in 2 / 256."""
    train = run.train.assign(known_pass_rate=0.5)
    found = advice_of(replace(run, pass_rates=None, train=train))
    assert found[0].selections[0].live == pytest.approx([0.5, 0.875, 1 - 2 / 256, 1 - 2 / 2**16, 1 - 2 / 2**32])
    text, table, *rest = advice_blocks(replace(run, pass_rates=None, train=train))
    assert text.text.startswith("With groups of 8, 1 % of the rollouts of a shuffle would teach nothing")
    assert "with groups of 2: 50 %, of 4: 12 %, of 16: 0 %" in text.text
    assert [row[0] for row in table.rows] == ["2", "4", "8", "16", "32"]
    assert table.rows[0][1:] == ["50 %", "250"]
    assert "taken as exact" in table.caption
    assert not rest  # nothing was measured: nothing is compared


def test_no_pass_rate_no_advice(run):
    train = run.train.assign(known_pass_rate=None)
    for rows in (None, PASS_RATES.empty()):
        assert advice_blocks(replace(run, pass_rates=rows, train=train)) == []


def test_the_shuffle_of_the_run_is_compared_in_its_first_ten_steps(run):
    measured = replace(run, pass_rates=rates([4] * 40, 8))
    inputs = as_shuffle(measured, 0.25)
    found = dead_share(inputs, advice_of(inputs)[0])
    assert (found.real, found.n_steps, found.n_groups) == (0.25, 10, 320)
    assert (found.lo, found.hi) == pytest.approx(wilson(0.25, 320))
    assert found.lo < 0.25 < found.hi
    assert not found.holds
    assert "the prediction lies outside" in advice_blocks(inputs)[-1].text
    close = as_shuffle(measured, found.predicted)
    assert "this run, a shuffle, had 1 % of 320 groups" in advice_blocks(close)[-1].text
    assert "the prediction lies in the interval." in advice_blocks(close)[-1].text


def test_another_strategy_is_not_compared_but_its_control_is(run):
    measured = replace(run, pass_rates=rates([4] * 40, 8))
    assert measured.plan.strategy != "vanilla"
    advice = advice_of(measured)[0]
    assert dead_share(measured, advice) is None
    reports = (PlanReport(stage="p"), TrainingReport(stage="t"), EvaluationReport(stage="e"))
    log = run.training.log.assign(zero_std_frac=0.5)
    with_control = replace(measured, control=ControlFacts(run.scores, run.scores, log, *reports))
    assert dead_share(with_control, advice).real == 0.5
    assert "the control, a plain shuffle, had 50 %" in advice_blocks(with_control)[-1].text
    assert dead_share(replace(with_control, training=None), advice) is None
    assert dead_share(replace(as_shuffle(measured, 0.5), pass_rates=None), advice) is None


def test_wilson_by_hand():
    """0 of 10: 0 to z^2 / (10 + z^2) = 0.2775; 5 of 10: 0.5 -+ 0.2634."""
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_it_stands_on_the_page(run):
    html = render_report(run)
    assert read(html).errors == []
    assert "of the rollouts of a shuffle would teach nothing" in html
    assert "Groups that would teach nothing" in html
    assert "would teach nothing" not in render_report(curation_run(200))
