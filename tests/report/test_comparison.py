"""The page of a comparison: what it draws of each arm."""

import json

import numpy as np
import pandas as pd

from saerl_core.compare.statistics import compare_trials
from saerl_core.compare.trials import Point, Trial
from saerl_core.report.comparison import ComparisonInputs, render_comparison
from saerl_core.report.inputs import RunFacts
from tests.report.checking import Page, read
from tests.report.factory import HOSTILE


def _trial(arm: str, seed: int, end: float) -> Trial:
    curve = tuple(Point(i, 100 * i, 1000 * i, float(i), 0.2 + (end - 0.2) * i / 10) for i in range(11))
    correct = np.random.default_rng(seed).binomial(4, end, 80)
    items = pd.DataFrame({"item_id": [f"i{k}" for k in range(80)], "n_samples": 4, "n_correct": correct})
    return Trial(arm, seed, curve, items, 0, (0.5,))


def _page(n_seeds: int) -> Page:
    trials = [_trial(a, s, end + s / 100) for a, end in (("vanilla", 0.4), (HOSTILE, 0.7)) for s in range(n_seeds)]
    comparison = compare_trials(trials, "vanilla")
    facts = RunFacts("compared", "2026-08-01", "", "saerl compare", {}, "")
    return read(render_comparison(ComparisonInputs(facts, comparison, trials, [], "saerl compare")))


def _rows(page: Page, label: str) -> list[dict[str, object]]:
    spec = next(found for found in map(json.loads, page.specs) if found.get("description") == label)
    return [row for rows in spec["datasets"].values() for row in rows]


def test_curves_have_a_band_that_holds_every_seed() -> None:
    page = _page(3)
    assert page.errors == []
    last = [row for row in _rows(page, "learning curves") if row["n"] == "vanilla"][-1]
    assert last["l"] < last["y"] < last["h"]
    assert "script" in page.tags
    assert "img" not in page.tags
    single = _rows(_page(1), "learning curves")
    assert all("l" not in row for row in single)


def test_the_gain_is_drawn_with_its_interval_where_there_is_one() -> None:
    row = next(row for row in _rows(_page(3), "gain over the baseline") if "t" in row)
    assert row["l"] < row["a"] < row["h"]
    assert "points [" in str(row["t"])
