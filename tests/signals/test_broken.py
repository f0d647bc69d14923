"""What the quality probe is sure of: a clean pool loses nothing, broken prompts go, a person's cut still cuts."""

import numpy as np
import pytest

from saerl_core.config.run import QualityConfig
from saerl_core.signals.broken import calibrate_broken
from saerl_core.signals.keeping import choose_kept
from saerl_core.signals.quality_items import QualityItems
from tests.signals.factory import pool

N, N_BAD = 2000, 800


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def scored(gap, broken_frac, seed=0, *, n=N, n_bad=N_BAD):
    """Scores of a pool of which the last share is broken, and of corruptions that are `gap` deviations lower."""
    rng = np.random.default_rng(seed)
    n_broken = round(broken_frac * n)
    own = np.r_[rng.normal(gap / 2, 1, n - n_broken), rng.normal(-gap / 2, 1, n_broken)]
    z = np.r_[own, rng.normal(-gap / 2, 1, n_bad)]
    labels = np.r_[np.ones(n), np.zeros(n_bad)]
    items = QualityItems(pool(n), n, labels, np.arange(n + n_bad), np.full(n + n_bad, "", dtype=object))
    return items, sigmoid(z)


@pytest.mark.parametrize("gap", [0.0, 0.5, 1.0, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_clean_pool_loses_about_nothing(gap, seed):
    items, scores = scored(gap, 0.0, seed)
    found = calibrate_broken(items, scores)
    assert (found.probability > 0.95).mean() <= 0.002


@pytest.mark.parametrize(("broken_frac", "recall"), [(0.05, 0.3), (0.2, 0.5), (0.4, 0.6)])
def test_broken_prompts_are_found_and_nearly_nothing_else(broken_frac, recall):
    items, scores = scored(4.0, broken_frac)
    found = calibrate_broken(items, scores)
    dropped = found.probability > 0.95
    is_broken = np.arange(N) >= N - round(broken_frac * N)
    assert dropped[is_broken].mean() > recall
    assert is_broken[dropped].mean() > 0.95, "what it is sure of is right that often"
    assert found.share == pytest.approx(broken_frac, abs=0.03)


def test_the_probability_is_calibrated():
    items, scores = scored(3.0, 0.2)
    probability = calibrate_broken(items, scores).probability
    is_broken = np.arange(N) >= N - 400
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 0.7), (0.7, 1.01)):
        rows = (probability >= low) & (probability < high)
        assert is_broken[rows].mean() == pytest.approx(probability[rows].mean(), abs=0.12)


def test_a_users_two_classes_are_calibrated_by_platt():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, N)
    labels = (rng.random(N) < sigmoid(z)).astype(float)
    items = QualityItems(pool(N), N, labels, np.arange(N), np.full(N, "", dtype=object))
    found = calibrate_broken(items, sigmoid(0.3 * z - 1))  # shrunk and shifted scores
    assert np.abs(found.probability - (1 - sigmoid(z))).max() < 0.06


@pytest.mark.parametrize(
    ("labels", "n"), [(np.linspace(0, 1, 100), 100), (np.r_[np.zeros(29), np.ones(71)], 100)], ids=["graded", "few"]
)
def test_where_nothing_can_be_calibrated_nothing_is_dropped(labels, n):
    items = QualityItems(pool(n), n, labels, np.arange(n), np.full(n, "", dtype=object))
    scores = np.linspace(0, 1, n)
    assert calibrate_broken(items, scores) is None
    kept = choose_kept(items.prompts, scores, None, QualityConfig())
    assert kept.keep.all()
    assert "can be calibrated on two classes" in kept.note


def test_equal_scores_say_nothing():
    items, scores = scored(3.0, 0.2)
    assert not calibrate_broken(items, np.full_like(scores, 0.5)).probability.any()


def test_the_share_and_the_reason_are_said_with_the_ten_worst():
    items, scores = scored(4.0, 0.2)
    broken = calibrate_broken(items, scores)
    kept = choose_kept(items.prompts, scores[:N], broken, QualityConfig())
    n_dropped = int((~kept.keep).sum())
    assert kept.note.startswith(f"Below the cut of quality: {n_dropped:,} of 2,000 usable prompts (")
    assert "a strategy that filters by quality leaves them out" in kept.note, "the step does not know the plan"
    assert "calibrated out of fold on 2,000 good and 800 bad examples" in kept.note
    assert kept.values["drop_frac"] == n_dropped / N
    lowest = items.prompts["prompt_id"].to_numpy()[np.argsort(scores[:N])[:10]]
    assert [w.prompt_id for w in kept.worst] == lowest.tolist()
    assert not any(w.kept for w in kept.worst)


@pytest.mark.parametrize(
    ("settings", "n_dropped", "words"),
    [
        ({"drop_quantile": 0.25}, 500, "Below quality.drop_quantile 0.25, the lowest scores, sure or not: 500 of"),
        ({"drop_quantile": 0.0}, 0, "0 of 2,000"),
        ({"threshold": 0.0}, 0, "Below quality.threshold 0: 0 of"),
        ({"drop_above": 1.0}, 0, "No prompt is left out for its quality"),
    ],
)
def test_a_persons_cut_still_cuts(settings, n_dropped, words):
    items, scores = scored(4.0, 0.2)
    kept = choose_kept(items.prompts, scores[:N], calibrate_broken(items, scores), QualityConfig(**settings))
    assert (~kept.keep).sum() == n_dropped
    assert words in kept.note


@pytest.mark.parametrize(("n", "is_few"), [(59, True), (199, True), (200, False)])
def test_few_good_examples_cut_nothing_and_say_so(n, is_few):
    items, scores = scored(4.0, 0.2, n=n)
    broken = calibrate_broken(items, scores)
    assert (broken.probability > 0.95).any()
    kept = choose_kept(items.prompts, scores[:n], broken, QualityConfig())
    assert kept.keep.all() == is_few
    assert ("are too few" in kept.note) == is_few
    assert all((w.broken is None) == is_few for w in kept.worst), "no probability is told that nobody can trust"


def test_a_persons_cut_of_few_good_examples_cuts_with_a_warning():
    items, scores = scored(4.0, 0.2, n=60)
    kept = choose_kept(items.prompts, scores[:60], calibrate_broken(items, scores), QualityConfig(drop_quantile=0.1))
    assert (~kept.keep).sum() == 6
    assert "do not trust this cut; without quality.threshold and quality.drop_quantile there is none" in kept.note


def test_few_labels_of_a_person_are_no_synthetic_ones():
    items, scores = scored(4.0, 0.2, n=100, n_bad=100)
    config = QualityConfig(labels="column")
    assert not choose_kept(items.prompts, scores[:100], calibrate_broken(items, scores), config).keep.all()
