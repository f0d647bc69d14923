"""Predicted against observed pass rates, by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saerl_core.forecasts import brier_by_step, brier_of_the_mean, brier_score, forecast_metrics, forecasts
from saerl_core.report.page import render_report
from saerl_core.tables import CONSUMED, HANDED_OUT
from tests.report.checking import read
from tests.report.factory import full_run


def rows(*given):
    """Return forecasts of (step, predicted, n_correct of 4)."""
    slots = [sum(g[0] == step for g in given[:i]) for i, (step, *_) in enumerate(given)]
    place = {"step": [g[0] for g in given], "slot": slots, "prompt_id": [f"p{i}" for i in range(len(given))]}
    handed_out = HANDED_OUT.check(
        pd.DataFrame({**place, "predicted": [g[1] for g in given]}).assign(sd=np.nan, n_seen=np.nan, why=None)
    )
    consumed = CONSUMED.check(
        pd.DataFrame(
            {**place, "n_rollouts": 4, "n_correct": [g[2] for g in given], "update": place["step"], "is_trained": True}
        )
    )
    return forecasts(handed_out, consumed)


@pytest.mark.parametrize(
    ("predicted", "n_correct", "wanted"),
    [(0.5, 2, 0.25), (0.5, 4, 0.25), (1.0, 4, 0.0), (1.0, 0, 1.0), (0.75, 3, 0.1875), (0.0, 1, 0.25)],
)
def test_the_score_of_one_prompt_is_the_mean_over_its_rollouts(predicted, n_correct, wanted):
    y = np.array([1] * n_correct + [0] * (4 - n_correct))
    assert brier_score(rows((0, predicted, n_correct))) == pytest.approx(wanted) == np.mean((predicted - y) ** 2)


def test_steps_are_scored_apart_and_the_mean_is_the_yardstick():
    table = rows((0, 1.0, 4), (0, 1.0, 0), (1, 0.0, 0), (1, 1.0, 4))
    assert brier_by_step(table) == {0: 0.5, 1: 0.0}
    assert brier_score(table) == 0.25
    assert brier_of_the_mean(table) == 0.25
    assert forecast_metrics(table) == {"forecast_brier_mean": 0.25, "forecast_brier_of_the_mean": 0.25}
    assert forecast_metrics(table.iloc[:0]) == {}


def test_what_was_not_predicted_or_not_trained_does_not_count():
    assert rows((0, np.nan, 2)).empty
    assert np.isnan(brier_score(rows((0, np.nan, 2))))
    handed_out = HANDED_OUT.check(
        pd.DataFrame({"step": [0], "slot": [0], "prompt_id": ["p0"], "predicted": [0.5]}).assign(
            sd=np.nan, n_seen=np.nan, why=None
        )
    )
    assert forecasts(handed_out, CONSUMED.empty()).empty


def test_the_page_shows_them_where_there_are_any():
    run = full_run(300, n_steps=6)
    plain = render_report(run)
    assert "Brier" not in plain
    predicted = np.linspace(0.1, 0.9, len(run.training.handed_out))
    handed_out = HANDED_OUT.check(run.training.handed_out.assign(predicted=predicted))
    page = read(render_report(replace(run, training=replace(run.training, handed_out=handed_out))))
    assert page.errors == []
    assert "The Brier score of its predictions" in page.texts["training"]
    drawn = dict(page.charts)
    assert drawn["predicted and observed pass rate"] == len(handed_out) + 5, "and the means of the fifths"
    assert drawn["Brier score by step"] == 6
    assert "Why these prompts" not in page.texts["training"], "the strategy did not say"


def test_the_page_says_why_prompts_were_taken():
    run = full_run(300, n_steps=6)
    n = len(run.training.handed_out)
    why = np.where(np.arange(n) % 4 == 0, "explored", "expected to teach")
    told = run.training.handed_out.assign(predicted=0.4, sd=0.2, n_seen=np.arange(n) % 2 * 4.0, why=why)
    page = read(render_report(replace(run, training=replace(run.training, handed_out=HANDED_OUT.check(told)))))
    text = page.texts["training"]
    assert "Why these prompts" in text
    assert "0.40 ± 0.20" in text
    assert "50 % of the prompts had never been tried" in text
