"""Numbers as text, and the charts: what is drawn, what the pointer tells."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from saerl_core.report import numbers
from saerl_core.report.charts import Series, bars, histogram, lines, row_names, running_mean, span
from saerl_core.report.dots import Estimate, Interval, before_after, forest, scatter
from saerl_core.report.maps import cluster_map, plan_clusters
from saerl_core.report.vega import Chart

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.1234, "0.123"),
        (12.0, "12"),
        (1234.5, "1,234"),
        (-0.5, "\N{MINUS SIGN}0.5"),
        (NAN, "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
    ],
)
def test_numbers_by_hand(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.43, "0.4 s"), (59.4, "59 s"), (59.8, "1 min"), (200.0, "3 min 20 s"), (7500.0, "2 h 5 min"), (3600.0, "1 h")],
)
def test_durations_by_hand(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_units_and_signs() -> None:
    assert numbers.percent(0.1234) == "12.3 %"
    assert numbers.points(-0.021) == "\N{MINUS SIGN}2.1"
    assert numbers.points(0.021) == "+2.1"
    assert numbers.count(12345.4) == "12,345"
    assert numbers.short("a  b\nc", 20) == "a b c"
    assert numbers.short("abcdef", 4) == "abc…"


def test_span_of_nothing_and_of_one_value_is_not_empty() -> None:
    for values in ([], [NAN], [0.0], [3.0, 3.0]):
        low, high = span(values)
        assert low < high


def rows_of(chart: Chart) -> list[dict[str, object]]:
    """Return every row of data behind a chart."""
    return [row for rows in json.loads(str(chart.spec))["datasets"].values() for row in rows]


def test_not_finite_values_interrupt_a_line_and_are_not_counted() -> None:
    chart = lines("t", [Series("s", [0, 1, 2, 3], [1.0, NAN, 2.0, math.inf], "c0")], "step")
    assert chart.n_points == 2
    assert [row["y"] for row in rows_of(chart)] == [1, None, 2, None]
    assert "nan" not in str(chart.svg).lower()
    assert "NaN" not in str(chart.spec)


def test_a_chart_without_points_is_not_drawn() -> None:
    for chart in (lines("t", [], "step"), scatter("t", [], "x", "y"), cluster_map("t", [(NAN, 0.0, 1)], {})):
        assert (chart.n_points, chart.svg, chart.spec) == (0, "", "")


def test_the_same_chart_gives_the_same_bytes() -> None:
    one, two = (lines("t", [Series("s", [0, 1, 2], [1.0, 3.0, 2.0], "c0")], "step") for _ in range(2))
    assert one == two


def test_the_drawing_needs_no_script_and_names_itself() -> None:
    chart = lines("loss & <more>", [Series("s", [0, 1, 2], [1.0, 3.0, 2.0], "c0")], "step")
    assert 'role="img" aria-label="loss &amp; &lt;more&gt;" data-points="3"' in chart.svg
    assert 'stroke="var(--c0)"' in chart.svg
    assert json.loads(str(chart.spec))["description"] == "loss & <more>"


def test_the_pointer_tells_the_values_of_a_curve() -> None:
    chart = lines("t", [Series("loss", [0, 10], [1.0, 0.25], "c0")], "step", as_share=True)
    assert [(row["n"], row["x"], row["t"]) for row in rows_of(chart)] == [
        ("loss", 0, "100.0 %"),
        ("loss", 10, "25.0 %"),
    ]
    hover = next(layer for layer in json.loads(str(chart.spec))["layer"] if layer.get("name") == "hover")
    assert [tip["title"] for tip in hover["encoding"]["tooltip"]] == ["curve", "step", "value"]


def test_histogram_shares_sum_to_one_and_labels_get_bins_of_their_own() -> None:
    values = [k / 8 for k in range(9)]
    chart = histogram("t", [("all", values, "c0")], "x", bounds=(0, 1), n_bins=9)
    assert chart.n_points == 9
    assert [row["t"] for row in rows_of(chart)] == ["11.1 %"] * 9  # one ninth in each bin: no comb


def test_bars_tell_each_value_and_escape_labels() -> None:
    chart = bars("t", ["<b>x</b>", "y"], [("n", [3.0, NAN], "c0")], "n")
    for text in (chart.svg, chart.spec):
        assert "<b>" not in text
    assert "&lt;b&gt;x&lt;/b&gt;" in chart.svg
    assert {"f": "<b>x</b>", "n": "n", "t": "3"}.items() <= next(r for r in rows_of(chart) if "f" in r).items()
    assert chart.n_points == 1
    assert str(chart.svg).count("\N{EN DASH}") == 1  # not a zero: nothing is known of the second row


def test_rows_of_one_short_name_stay_apart() -> None:
    names = row_names(["a" * 40, "a" * 50, "b"])
    assert len(set(names)) == 3
    assert bars("t", ["a" * 40, "a" * 50], [("n", [1.0, 2.0], "c0")], "n").n_points == 2


def test_intervals_by_hand() -> None:
    chart = before_after("t", ["all"], [Interval(0.25, 0.01)], [Interval(0.5, NAN)], "accuracy")
    told = {str(row["n"]): row["t"] for row in rows_of(chart) if "n" in row}
    assert told == {"before": "25.0 % ± 1.0 %", "after": "50.0 % ± 0.0 %"}
    found = forest(
        "t",
        ["up", "none", "down", "lone"],
        [Estimate(2, 1, 3), Estimate(0.5, -1, 2), Estimate(-2, -3, -1), Estimate(1, None, None)],
        "gain",
    )
    colours = {str(row["f"]): row["c"] for row in rows_of(found) if "f" in row}
    assert colours == {"up": "var(--c2)", "none": "var(--c7)", "down": "var(--c1)", "lone": "var(--c7)"}


def test_running_mean_by_hand() -> None:
    found = running_mean(np.array([1.0, NAN, 3.0, 5.0]), 3)
    assert found.tolist() == [1.0, 2.0, 4.0, 4.0]


def test_map_draws_every_point_up_to_its_limit_and_tells_its_prompt() -> None:
    points = [(float(i), float(i % 7), i % 40) for i in range(200)]
    assert cluster_map("t", points, {}).n_points == 200
    assert cluster_map("t", [*points, (NAN, 0.0, 1)], {}).n_points == 200
    assert cluster_map("t", points * 50, {}).n_points <= 2000
    chart = cluster_map("t", points[:2], {1: "the ones"}, ["first </script> prompt", "x" * 500])
    assert "</script>" not in chart.spec
    told = [(row["p"], row["n"]) for row in rows_of(chart) if "p" in row]
    assert told == [("first </script> prompt", "cluster 0"), ("x" * 119 + "…", "the ones")]


def test_long_plans_are_drawn_in_runs_of_steps() -> None:
    steps = np.repeat(np.arange(1000), 4)
    plan = pd.DataFrame({"step": steps, "cluster_id": np.tile([0, 0, 1, 2], 1000), "difficulty": 0.5})
    chart = plan_clusters("t", plan, {})
    assert chart.n_points <= 3 * 150
    told = [(row["w"], row["t"], row["n"], row["d"]) for row in rows_of(chart)]
    assert told[0] == ("0 to 6", "50 %, 14 of 28 prompts", "cluster 0", "0.50")
    assert told[-1] == ("994 to 999", "25 %, 6 of 24 prompts", "cluster 2", "0.50")
