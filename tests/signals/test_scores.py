"""Scores, against hand-worked values and other libraries."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score, roc_auc_score

from saerl_core.signals.scores import (
    auc,
    auc_difference,
    bootstrap_spearman,
    mae,
    noise_ceiling,
    pearson,
    r2,
    spearman,
    spearman_within,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    truth = np.round(rng.random(80), 1)  # with ties
    return truth, np.round(truth + rng.normal(0, 0.4, 80), 1)


def test_same_as_other_libraries(pair):
    truth, predicted = pair
    assert spearman(truth, predicted) == pytest.approx(stats.spearmanr(truth, predicted).statistic)
    assert pearson(truth, predicted) == pytest.approx(stats.pearsonr(truth, predicted).statistic)
    assert r2(truth, predicted) == pytest.approx(r2_score(truth, predicted))
    assert auc(truth > 0.5, predicted) == pytest.approx(roc_auc_score(truth > 0.5, predicted))


def test_constant_predictions_have_no_order():
    assert spearman(np.arange(5.0), np.full(5, 0.3)) == 0.0
    assert np.isnan(auc(np.ones(4, dtype=bool), np.arange(4.0)))


def test_by_hand():
    assert mae(np.array([0.0, 1.0]), np.array([0.5, 1.0])) == 0.25
    assert auc(np.array([True, True, False]), np.array([0.9, 0.4, 0.4])) == 0.75
    truth = np.array([1.0, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2])
    clusters = np.array([0] * 5 + [1] * 5 + [2] * 2)  # cluster 2 is too small to say anything
    predicted = np.array([1.0, 2, 3, 4, 5, 5, 4, 3, 2, 1, 9, 9])
    assert spearman_within(truth, predicted, clusters) == pytest.approx(0.0)
    assert spearman_within(truth[:5], predicted[:5], clusters[:5]) == pytest.approx(1.0)
    assert np.isnan(spearman_within(truth[10:], predicted[10:], clusters[10:]))


def test_bootstrap_is_centred_and_paired(pair):
    truth, predicted = pair
    draws = bootstrap_spearman(truth, [predicted, predicted], np.random.default_rng(0), 500)
    assert draws.shape == (500, 2)
    assert np.array_equal(draws[:, 0], draws[:, 1])
    assert draws[:, 0].mean() == pytest.approx(spearman(truth, predicted), abs=0.03)


def test_delong_agrees_with_the_bootstrap():
    rng = np.random.default_rng(0)
    label = rng.random(300) < 0.4
    first = label + rng.normal(0, 1.0, 300)
    second = label + rng.normal(0, 2.0, 300)
    gain, error = auc_difference(label, first, second)
    assert gain == pytest.approx(roc_auc_score(label, first) - roc_auc_score(label, second))
    draws = []
    for _ in range(300):
        rows = rng.integers(300, size=300)
        draws.append(auc(label[rows], first[rows]) - auc(label[rows], second[rows]))
    assert error == pytest.approx(np.std(draws), rel=0.2)


def test_the_noise_ceiling_is_what_the_truth_itself_reaches():
    rng = np.random.default_rng(0)
    truth = rng.beta(0.8, 1.5, 4000)
    n = np.full(4000, 8)
    correct = rng.binomial(n, truth)
    best_r2, best_spearman = noise_ceiling(correct, n, rng)
    assert best_r2 == pytest.approx(r2(correct / n, truth), abs=0.03)
    assert best_spearman == pytest.approx(spearman(correct / n, truth), abs=0.03)


def test_one_rollout_allows_no_ceiling():
    rng = np.random.default_rng(0)
    assert np.isnan(noise_ceiling(np.array([0, 1, 1, 0]), np.ones(4, dtype=int), rng)).all()
