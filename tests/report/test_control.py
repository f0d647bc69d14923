"""The sentence about the shuffle, and the pairing behind it, on examples done by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saerl_core.errors import DataError
from saerl_core.records import EvaluationReport, PlanReport, StageReport, TrainingReport
from saerl_core.report.control import Versus, share_to_reach, versus, versus_sentence
from saerl_core.report.inputs import ControlFacts, ReportInputs
from saerl_core.report.page import render_report
from saerl_core.report.summary import summary_text
from saerl_core.tables import ITEM_SCORES
from tests.report.checking import read
from tests.report.factory import full_run

EXAMPLE = Versus("adaptive", 0.524, 0.483, 0.02, 0.061, 480, 15_360, 15_360)


def items(policy: str, n_correct: list[int], benchmark: str = "test") -> pd.DataFrame:
    ids = [f"{benchmark}{i}" for i in range(len(n_correct))]
    counts = {"n_samples": 4, "n_correct": n_correct}
    return ITEM_SCORES.check(
        pd.DataFrame(
            {"policy": policy, "benchmark": benchmark, "prompt_id": ids, "topic": None, "level": 1.0, **counts}
        )
    )


def run(ours: pd.DataFrame, theirs: pd.DataFrame, n_rollouts: int | None = None) -> ReportInputs:
    """Make a run with a control whose items are given."""
    made = full_run(300, n_steps=4)
    assert made.training is not None
    assert made.scores is not None
    n = made.training.report.n_rollouts if n_rollouts is None else n_rollouts
    control = ControlFacts(
        theirs,
        made.scores[made.scores["policy"] == "after"].assign(policy="control"),
        made.training.log,
        PlanReport(stage="plan", notes=("a note of the control",)),
        TrainingReport(stage="training", n_rollouts=n),
        EvaluationReport(stage="evaluation"),
    )
    return replace(made, items=pd.concat([items("before", [0] * len(ours)), ours]), control=control)


def test_the_difference_is_paired_over_the_items() -> None:
    """Both differ from item to item by much, and from each other by one completion of four, always."""
    found = versus(run(items("after", [1, 2, 4, 2]), items("control", [0, 1, 3, 1]).sample(frac=1, random_state=1)))
    assert found is not None
    assert (found.ours, found.shuffle) == (9 / 16, 5 / 16)
    assert found.gain == pytest.approx(0.25)
    assert (found.lo, found.hi) == (0.25, 0.25)  # resampling equal differences changes nothing
    assert found.n_items == 4


def test_the_interval_is_that_of_the_items() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.binomial(4, 0.5, 400), rng.binomial(4, 0.4, 400)
    found = versus(run(items("after", list(ours)), items("control", list(theirs))))
    assert found is not None
    error = np.std((ours - theirs) / 4, ddof=1) / math.sqrt(400)
    assert (found.lo, found.hi) == pytest.approx((found.gain - 1.96 * error, found.gain + 1.96 * error), abs=0.004)


def test_benchmarks_count_alike_however_many_items_they_have() -> None:
    ours = pd.concat([items("after", [4] * 8, "large"), items("after", [0] * 2, "small")])
    theirs = pd.concat([items("control", [0] * 8, "large"), items("control", [0] * 2, "small")])
    found = versus(run(ours, theirs))
    assert found is not None
    assert (found.ours, found.shuffle, found.lo, found.hi) == (0.5, 0.0, 0.5, 0.5)


def test_other_items_are_refused() -> None:
    with pytest.raises(DataError, match="same items: 1 differ"):
        versus(run(items("after", [1, 2]), items("control", [1, 2, 3])))


def test_the_sentence_of_a_clear_difference() -> None:
    assert versus_sentence(EXAMPLE) == (
        "adaptive 52.4 %, shuffle 48.3 %: +4.1 points [+2.0, +6.1] at equal rollouts (one seed: another may say "
        "something else)."
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lo": -0.01}, "[\N{MINUS SIGN}1.0, +6.1] at equal rollouts, which 480 held-out prompts cannot tell from no "),
        ({"n_rollouts": 15_488}, "at 15,488 against 15,360 rollouts"),
        ({"n_label_rollouts": 1920}, "; labels took 1,920 rollouts more (one seed"),
        ({"share": 0.58}, "it reached the shuffle's final accuracy on the dev split with 58 % of the rollouts"),
        ({"share": math.inf}, "it never reached the shuffle's final accuracy"),
    ],
)
def test_the_sentence_tells_what_limits_it(change: dict[str, float], told: str) -> None:
    assert told in versus_sentence(replace(EXAMPLE, **change))


def test_the_share_of_rollouts_is_that_of_the_first_score_that_is_not_below() -> None:
    def log(*scores: float) -> pd.DataFrame:
        return pd.DataFrame(
            {"step": range(4), "n_rollouts_total": [100, 200, 300, 400], "eval_pass_at_1": [math.nan, *scores]}
        )

    assert share_to_reach(log(0.3, 0.5, 0.4), log(0.3, 0.6, 0.5)) == 0.75  # 0.5 after 300 of 400
    assert share_to_reach(log(0.3, 0.4, 0.49), log(0.3, 0.6, 0.5)) == math.inf
    assert share_to_reach(log(math.nan, math.nan, math.nan), log(0.3, 0.6, 0.5)) is None


def test_the_comparison_is_the_first_sentence_of_page_and_summary() -> None:
    inputs = run(items("after", [1, 2, 4, 2]), items("control", [0, 1, 3, 1]))
    sentence = "saerl 56.2 %, shuffle 31.2 %: +25.0 points [+25.0, +25.0] at equal rollouts"
    lines = summary_text(inputs).splitlines()
    assert lines[0].startswith(sentence)
    assert lines[1].startswith("Strategy saerl, seed 0")
    html = render_report(inputs)
    assert read(html).errors == []
    assert html[html.index("<main>") :].index(sentence) < html[html.index("<main>") :].index("Strategy saerl")
    assert "a note of the control" in html
    assert "shuffle</th>" in html
    assert "compare with a vanilla run" not in html
    without = replace(inputs, control=None)
    assert versus(without) is None
    assert summary_text(without).startswith("Strategy saerl, seed 0")


def test_the_control_has_a_purpose_of_its_own() -> None:
    from saerl_core.ledger import costs_table
    from saerl_core.report.facts import cost_by_purpose, selection_share

    names = ("plan_batches", "train_policy", "plan_control", "train_control", "evaluate_control")
    costs = costs_table((name, StageReport(stage=name, seconds=1.0, n_rollouts=10)) for name in names)
    assert cost_by_purpose(costs)["n_rollouts"].to_dict() == {
        "setup": 0,
        "selection": 10,
        "training": 10,
        "evaluation": 0,
        "control": 30,
    }
    assert selection_share(costs, "seconds") == 0.5
