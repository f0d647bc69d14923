"""Numbers as text, ticks, and the canvas."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.report import numbers
from saerl_core.report.charts import Series, bars, histogram, lines, running_mean
from saerl_core.report.maps import cluster_map, plan_clusters
from saerl_core.report.svg import Canvas, Frame, span, ticks

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


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    found = ticks(low, low + width)
    assert 1 <= len(found) <= 12
    assert all(low - 1e-6 * width <= t <= low + width + 1e-6 * width for t in found)
    assert found == sorted(found)


def test_span_of_nothing_and_of_one_value_is_not_empty() -> None:
    for values in ([], [NAN], [0.0], [3.0, 3.0]):
        low, high = span(values)
        assert low < high


def test_not_finite_values_interrupt_a_line_and_are_not_counted() -> None:
    chart = lines("t", [Series("s", [0, 1, 2, 3], [1.0, NAN, 2.0, math.inf], "c0")], "step")
    assert chart.n_points == 2
    assert "nan" not in str(chart.svg).lower()
    assert "inf" not in str(chart.svg)


def test_positions_by_hand() -> None:
    canvas = Canvas(Frame(0, 10, 0, 1, width=120, height=110, left=10, right=10, top=5, bottom=5), "t")
    assert (canvas.x(0), canvas.x(10), canvas.x(5)) == (10, 110, 60)
    assert (canvas.y(0), canvas.y(1)) == (105, 5)


def test_histogram_shares_sum_to_one_and_labels_get_bins_of_their_own() -> None:
    values = [k / 8 for k in range(9)]
    chart = histogram("t", [("all", values, "c0")], "x", bounds=(0, 1), n_bins=9)
    assert chart.n_points == 9
    assert str(chart.svg).count("11.1 %") >= 9  # one ninth in each bin: no comb


def test_bars_tell_each_value_and_escape_labels() -> None:
    chart = bars("t", ["<b>x</b>", "y"], [("n", [3.0, NAN], "c0")], "n")
    assert "<b>x</b>" not in chart.svg
    assert "&lt;b&gt;x&lt;/b&gt;, n: 3" in chart.svg
    assert chart.n_points == 1
    assert str(chart.svg).count("\N{EN DASH}") == 1  # not a zero: nothing is known of the second row


def test_running_mean_by_hand() -> None:
    found = running_mean(np.array([1.0, NAN, 3.0, 5.0]), 3)
    assert found.tolist() == [1.0, 2.0, 4.0, 4.0]


def test_map_draws_every_point_up_to_its_limit() -> None:
    points = [(float(i), float(i % 7), i % 40) for i in range(200)]
    assert cluster_map("t", points, {}).n_points == 200
    assert cluster_map("t", [*points, (NAN, 0.0, 1)], {}).n_points == 200
    assert cluster_map("t", points * 50, {}).n_points <= 2500


def test_long_plans_are_drawn_in_runs_of_steps() -> None:
    steps = np.repeat(np.arange(1000), 4)
    plan = pd.DataFrame({"step": steps, "cluster_id": np.tile([0, 0, 1, 2], 1000)})
    chart = plan_clusters("t", plan, {})
    assert chart.n_points <= 3 * 150
    assert "steps 0 to 6: 50 % cluster 0" in chart.svg
    assert "steps 994 to 999: 25 % cluster 2" in chart.svg
