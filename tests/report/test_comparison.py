"""The page of a comparison: what it draws of each arm."""

import json

import numpy as np
import pandas as pd
import pytest

from saerl_core.compare.statistics import compare_trials
from saerl_core.compare.trials import Point, Trial
from saerl_core.report.blocks import Figure
from saerl_core.report.comparison import ComparisonInputs, render_comparison
from saerl_core.report.inputs import RunFacts
from saerl_core.report.trained import colours_of, trained_figure
from saerl_core.trained_on import TRAINED_ON
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


def _trained(values: list[str]) -> pd.DataFrame:
    rows = [("topic", v, part, (i + 1.0) / 100) for i, v in enumerate(values) for part in (0, 1)]
    return TRAINED_ON.check(pd.DataFrame(rows, columns=["kind", "value", "part", "share"]).assign(pass_rate=np.nan))


def test_a_name_has_one_colour_in_every_chart_and_other_is_grey() -> None:
    tables = [_trained([f"t{i}" for i in range(7)] + ["other"]), _trained([f"t{i}" for i in range(5, 12)])]
    colours = colours_of(tables, "topic")
    figures = [trained_figure(table, "topic", "x", colours) for table in tables]
    seen: dict[str, str] = {}
    for figure in figures:
        assert figure is not None
        keys = [css for css, _ in figure.keys]
        assert len(set(keys)) == len(keys) <= 8, "no two lines of a chart share a colour"
        for css, name in figure.keys:
            assert seen.setdefault(name, css) == css
    assert seen["other"] == "mute"
    assert "c7" not in seen.values(), "a second grey"
    sums = [[sum(row["y"] for row in _data(figure) if row["x"] == x) for x in (25, 75)] for figure in figures if figure]
    assert sums[1] == pytest.approx([0.28, 0.28], abs=1e-6), "what is not shown by name is in other"


def _data(figure: Figure) -> list[dict[str, float]]:
    return [row for rows in json.loads(str(figure.chart.spec))["datasets"].values() for row in rows]


def test_numbers_stand_in_their_order() -> None:
    assert list(colours_of([_trained(["10", "2", "1"])], "topic")) == ["1", "2", "10", "other"]


def test_many_arms_have_lines_that_differ() -> None:
    trials = [_trial(f"arm{i}", 0, 0.4) for i in range(10)]
    facts = RunFacts("compared", "2026-08-01", "", "saerl compare", {}, "")
    inputs = ComparisonInputs(facts, compare_trials(trials, "arm0"), trials, [], "saerl compare")
    rows = _rows(read(render_comparison(inputs)), "learning curves")
    looks = {(row["n"], row["c"], row["d"]) for row in rows}
    assert len(looks) == len({look[1:] for look in looks}) == 10
    assert all("d" not in row for row in _rows(_page(1), "learning curves"))
