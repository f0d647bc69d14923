"""Linear models: planted weights are found, and the scaling is folded in."""

import numpy as np
import pytest
from scipy import sparse

from saerl_core.signals.folds import deal_folds
from saerl_core.signals.linear import LinearModel, feature_weights, fit_elastic_net, fit_logistic, fit_ridge
from saerl_core.signals.scores import auc, spearman


@pytest.fixture
def planted():
    rng = np.random.default_rng(0)
    x = rng.exponential(size=(400, 30)) * (rng.random((400, 30)) < 0.3)
    x[:, 7] *= 1000  # another scale must not matter
    weights = np.zeros(30)
    weights[[2, 7, 11]] = 0.5, 0.0004, -0.3
    return x, x @ weights + rng.normal(0, 0.05, 400)


def folds(y, n=3):
    return deal_folds(y, np.arange(len(y)), n, 0, "test")


def test_elastic_net_finds_the_planted_weights(planted):
    x, y = planted
    model = fit_elastic_net(sparse.csr_matrix(x), y, folds(y), 0.5, 5)
    assert set(np.argsort(-np.abs(model.weights * x.std(axis=0)))[:3]) == {2, 7, 11}
    assert model.weights[7] == pytest.approx(0.0004, rel=0.1)
    assert spearman(model.predict(sparse.csr_matrix(x)), y) > 0.9


@pytest.mark.parametrize("fit", [lambda x, y: fit_elastic_net(x, y, folds(y), 0.5, 1)])
def test_sparse_and_dense_agree(planted, fit):
    x, y = planted
    first, second = fit(sparse.csr_matrix(x), y), fit(x, y)
    assert first.predict(sparse.csr_matrix(x)) == pytest.approx(second.predict(x), abs=0.02)


def test_rare_features_are_ignored(planted):
    x, y = planted
    x[:, 20] = 0.0
    x[:3, 20] = y[:3] * 10
    model = fit_elastic_net(sparse.csr_matrix(x), y, folds(y), 0.5, 4)
    assert model.weights[20] == 0.0


def test_constant_labels_or_features_give_a_constant():
    x = sparse.csr_matrix(np.eye(20))
    assert fit_elastic_net(x, np.full(20, 0.4), folds(np.arange(20.0)), 0.5, 1).predict(x) == pytest.approx(0.4)
    y = np.arange(20.0)
    nothing = sparse.csr_matrix((20, 3))
    assert fit_elastic_net(nothing, y, folds(y), 0.5, 1).predict(nothing) == pytest.approx(9.5)


def test_logistic_regression_finds_the_class(planted):
    x, y = planted
    label = (y > np.median(y)).astype(float)
    held_out = (folds(label, 4) == 0).astype(int)
    model = fit_logistic(sparse.csr_matrix(x), label, held_out, 5)
    assert auc(label == 1, model.predict(sparse.csr_matrix(x))) > 0.9


def test_ridge_finds_the_value(planted):
    x, y = planted
    model = fit_ridge(sparse.csr_matrix(x), y, (folds(y, 4) == 0).astype(int), 5)
    assert spearman(model.predict(sparse.csr_matrix(x)), y) > 0.9


def test_the_gram_matrix_changes_nothing(monkeypatch):
    from saerl_core.signals import descent, linear

    rng = np.random.default_rng(3)
    x = sparse.csr_matrix(np.where(rng.random((120, 30)) < 0.5, rng.random((120, 30)), 0.0))
    y = np.asarray(x @ rng.normal(size=30)).ravel() + 0.1 * rng.normal(size=120)
    inner = rng.integers(0, 4, 120)
    with_gram = linear.fit_elastic_net(x, y, inner, 0.5, 1)
    monkeypatch.setattr(descent, "_GRAM_COLUMNS", 0)
    without = linear.fit_elastic_net(x, y, inner, 0.5, 1)
    np.testing.assert_allclose(with_gram.weights, without.weights, atol=1e-6)
    assert with_gram.intercept == pytest.approx(without.intercept, abs=1e-6)


def _penalties(monkeypatch):
    """Count the penalties that are solved on the inner folds and, at the end, on all rows."""
    from saerl_core.signals import linear

    solved = []
    real = linear.descent

    def counted(*given):
        path = real(*given)
        return lambda alpha: solved.append(alpha) or path(alpha)

    monkeypatch.setattr(linear, "descent", counted)
    return solved


def test_labels_that_the_features_do_not_know_end_the_path_early(monkeypatch):
    from saerl_core.signals import linear

    solved, rng = _penalties(monkeypatch), np.random.default_rng(0)
    x, folds = rng.normal(size=(200, 60)), np.arange(200) % 3
    model = linear.fit_elastic_net(x, rng.random(200), folds, 0.5, 1)
    assert np.abs(model.weights).max() < 0.05
    assert len(solved) < 40, "of 24 penalties on three folds and 24 on all rows: 96"


@pytest.mark.parametrize("full", [True, False])
def test_the_elastic_net_is_the_one_of_the_library(full):
    """Dense rows go through the Gram matrix and sparse ones do not; both give scikit-learn's own cross-validation."""
    from sklearn.linear_model import ElasticNetCV

    from saerl_core.signals import linear

    rng = np.random.default_rng(1)
    x = rng.normal(size=(150, 12)) * (1.0 if full else rng.random((150, 12)) < 0.05)
    x /= x.std(axis=0)
    y, folds = x[:, 0] - 0.5 * x[:, 1] + rng.normal(size=150), np.arange(150) % 3
    splits = [(np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in range(3)]
    first = np.abs(x.T @ (y - y.mean())).max() / (150 * 0.5)
    theirs = ElasticNetCV(l1_ratio=0.5, alphas=np.geomspace(first, first * 1e-3, 24), cv=splits, tol=1e-6).fit(x, y)
    ours = linear.fit_elastic_net(x if full else sparse.csr_matrix(x), y, folds, 0.5, 1)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=0.02)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_an_effect_by_hand(kind):
    """Columns of standard deviation 2, 0 and 1/2; the weight of the third is 0."""
    x = kind(np.array([[0.0, 1.0, 0.0], [4.0, 1.0, 1.0]]))
    found = feature_weights(LinearModel(np.array([-0.5, 3.0, 0.0]), 1.0), x)
    assert [(w.latent, w.weight, w.effect) for w in found[:1]] == [(0, -0.5, -1.0)]
    assert [w.latent for w in found] == [0, 1]
