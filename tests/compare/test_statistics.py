import numpy as np
import pandas as pd
import pytest

from saerl_core import stats
from saerl_core.compare.statistics import compare_trials, false_alarm_rate, saving, sentence
from saerl_core.compare.trials import Point, Trial, area, first_reached, pair, smoothed
from saerl_core.errors import DataError


def trial(
    arm: str, seed: int, accuracies: list[float], correct: list[int], *, each: int = 100, labels: int = 0
) -> Trial:
    points = [
        Point(step=i, n_rollouts=labels + i * each, n_tokens=10 * (labels + i * each), seconds=float(i), accuracy=a)
        for i, a in enumerate(accuracies)
    ]
    items = pd.DataFrame({"item_id": [f"i{k}" for k in range(len(correct))], "n_samples": 4, "n_correct": correct})
    return Trial(arm, seed, tuple(points), items, labels, (0.5, 0.25))


def simulated(rng: np.random.Generator, arms: int, seeds: int, items: int, gain: float = 0.0) -> list[Trial]:
    """Arms of equal worth, but for the last one: seeds differ by 2 points, items widely."""
    hardness = rng.uniform(0.1, 0.9, items)
    found = []
    for seed in range(seeds):
        shared = rng.normal(0, 0.02)
        for arm in range(arms):
            shift = shared + rng.normal(0, 0.02) + (gain if arm == arms - 1 else 0.0)
            correct = rng.binomial(4, np.clip(hardness + shift, 0, 1))
            end = float(correct.mean() / 4)
            found.append(trial(f"arm{arm}", seed, [end - 0.1, end - 0.05, end, end], [int(c) for c in correct]))
    return found


def test_smoothing_and_crossing_by_hand() -> None:
    assert smoothed(np.array([0.0, 0.3, 0.6, 0.6])) == pytest.approx([0.15, 0.3, 0.5, 0.6])
    x, y = np.array([0.0, 100.0, 200.0]), np.array([0.2, 0.4, 0.3])
    assert first_reached(x, y, 0.3) == pytest.approx(50.0)
    assert first_reached(x, y, 0.2) == 0.0
    assert first_reached(x, y, 0.41) is None


def test_area_by_hand() -> None:
    # trapezoids: (0 + 1) / 2 * 100 + (1 + 1) / 2 * 100 = 150 over 200
    assert area(trial("a", 0, [0.0, 1.0, 1.0], [1])) == pytest.approx(0.75)


def test_holm_by_hand() -> None:
    # smallest times 3, then max with the next times 2, then the largest
    assert stats.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert stats.holm([]) == []


def test_the_t_interval_of_seeds_by_hand() -> None:
    # mean 2, sd 1, n 3: 2 +- 4.3027 / sqrt(3)
    found = stats.over_seeds([1.0, 2.0, 3.0])
    assert (found.mean, found.lo, found.hi) == pytest.approx((2.0, -0.4841, 4.4841), abs=1e-3)
    assert stats.over_seeds([1.0]) == stats.Estimate(1.0)


def test_seeds_needed_by_hand() -> None:
    # sd 1, gain 1: n = 10 gives (2.262 + .883) / 3.162 = .995; n = 9 gives (2.306 + .889) / 3 = 1.065
    spread = [-1.0, 0.0, 1.0]
    assert stats.seeds_needed(spread, 1.0) == 10
    assert stats.seeds_needed([1.0], 1.0) is None
    assert stats.seeds_needed(spread, 1e-6) is None


def test_savings_by_hand() -> None:
    """The baseline ends at .4 (smoothed) after 400 rollouts; the arm crosses .4 half way between 100 and 200."""
    base = trial("vanilla", 0, [0.1, 0.2, 0.3, 0.4, 0.4], [2])  # smoothed: .15 .2 .3 .3667 .4
    ours = trial("ours", 0, [0.2, 0.4, 0.45, 0.5, 0.5], [2])  # smoothed: .3 .35 .45 .4833 .5
    found = saving(pair([base, ours], "ours", "vanilla"), "n_rollouts", np.random.default_rng(0))
    assert (found.ratio, found.reached, found.n_reached) == (pytest.approx(150 / 400), True, 1)
    assert (found.lo, found.hi) == (None, None)


def test_label_rollouts_count_against_the_arm() -> None:
    base = trial("vanilla", 0, [0.1, 0.2, 0.3, 0.4, 0.4], [2])
    ours = trial("ours", 0, [0.2, 0.4, 0.45, 0.5, 0.5], [2], labels=40)
    found = compare_trials([base, ours], "vanilla").rows[1]
    assert found.saving("n_rollouts").ratio == pytest.approx(190 / 400)
    assert found.label_rollouts == 40


def test_what_is_never_reached_is_a_lower_bound() -> None:
    base, ours = trial("vanilla", 0, [0.1, 0.5, 0.5], [2]), trial("ours", 0, [0.1, 0.2, 0.2], [2], each=300)
    found = compare_trials([base, ours], "vanilla")
    one = found.rows[1].saving("n_rollouts")
    assert (one.reached, one.ratio, one.n_reached) == (False, 3.0, 0)
    assert "not even with 300% of the rollouts" in sentence(found.rows[1], found)


def test_one_seed_is_said_to_be_one_seed() -> None:
    found = compare_trials([trial("vanilla", 3, [0.1, 0.4], [1, 2]), trial("ours", 3, [0.1, 0.5], [2, 3])], "vanilla")
    row = found.rows[1]
    assert (row.gain, row.word) == (stats.Estimate(0.25), "one seed")
    assert sentence(row, found).startswith("ours 62.5%, vanilla 37.5%: +25.0 points at equal rollouts")
    assert "One seed is one seed" in sentence(row, found)


def test_a_clear_gain_is_better_and_the_order_of_trials_does_not_matter() -> None:
    trials = simulated(np.random.default_rng(1), 2, 5, 200, gain=0.15)
    found = compare_trials(trials, "arm0")
    assert found.rows[1].word == "better"
    assert found.rows[0].gain.mean == 0.0
    assert compare_trials(list(reversed(trials)), "arm0").rows[1].gain.mean == pytest.approx(found.rows[1].gain.mean)


@pytest.mark.parametrize(("arms", "seeds"), [(2, 3), (4, 3), (3, 5), (5, 10)])
def test_equal_arms_are_called_different_in_at_most_one_of_twenty_comparisons(arms: int, seeds: int) -> None:
    rate = false_alarm_rate(lambda rng: simulated(rng, arms, seeds, 60), "arm0", n=120)
    assert rate <= 0.05 + 2 * (0.05 * 0.95 / 120) ** 0.5  # two standard errors of the count


def test_intervals_cover_the_truth() -> None:
    rng, inside = np.random.default_rng(2), 0
    for _ in range(200):
        trials = simulated(rng, 2, 4, 60, gain=0.05)
        found = compare_trials(trials, "arm0", int(rng.integers(2**31)), 1000, ()).rows[1].gain
        assert found.lo is not None
        assert found.hi is not None
        inside += found.lo <= 0.05 <= found.hi
    assert inside >= 180


def test_what_cannot_be_compared_is_refused() -> None:
    one = trial("a", 0, [0.1, 0.2], [1, 2])
    with pytest.raises(DataError, match="no trial of the baseline 'b'; the trials are of the arms \\['a'\\]"):
        compare_trials([one], "b")
    with pytest.raises(DataError, match="share no seed"):
        compare_trials([one, trial("b", 1, [0.1, 0.2], [1, 2])], "a")
    with pytest.raises(DataError, match="two trials of one seed"):
        compare_trials([one, one], "a")
    with pytest.raises(DataError, match="scored on other items"):
        compare_trials([one, trial("b", 0, [0.1, 0.2], [1, 2, 3])], "a")
