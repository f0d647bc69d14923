import json

import numpy as np
import pytest

from saerl_core.plan.pass_rate_model import Beliefs, PassRateModel

BELIEFS = Beliefs(ridge=2.0, forgetting=0.5, noise=0.06, memory_weight=1.0, memory_kept=1.0)


def test_weights_are_those_of_ridge_regression_on_faded_evidence():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((6, 2))
    model = PassRateModel(features, Beliefs(2.0, 0.5, 0.06, memory_weight=1e12, memory_kept=1.0))
    first, second = np.array([0, 1, 2]), np.array([3, 4])
    model.observe(first, np.array([1.0, 0.0, 0.5]))
    model.observe(second, np.array([0.25, 0.75]))
    rows = np.hstack([features, np.ones((6, 1))])
    weight = np.array([0.5] * 3 + [1.0] * 2)  # the first batch is one step old
    seen = rows[[0, 1, 2, 3, 4]]
    target = np.array([0.5, -0.5, 0.0, -0.25, 0.25])
    solution = np.linalg.solve(seen.T * weight @ seen + 2.0 * np.eye(3), seen.T * weight @ target)
    expected = np.clip(0.5 + rows @ solution, 0.02, 0.98)
    assert model.mean(np.arange(6)) == pytest.approx(expected, abs=1e-9)


def test_a_prompt_remembers_what_the_features_cannot_say():
    model = PassRateModel(np.zeros((2, 1)), Beliefs(1e9, 1.0, 0.06, memory_weight=1.0, memory_kept=1.0))
    model.observe(np.array([0]), np.array([1.0]))  # residual .5, seen once: half of it is believed
    assert model.mean(np.array([0, 1])) == pytest.approx([0.75, 0.5], abs=1e-6)
    model.observe(np.array([0]), np.array([1.0]))
    assert model.mean(np.array([0]))[0] == pytest.approx(0.5 + 0.5 * 2 / 3, abs=1e-6)


def test_memory_fades():
    kept = Beliefs(1e9, 1.0, 0.06, memory_weight=1.0, memory_kept=0.5)
    model = PassRateModel(np.zeros((2, 1)), kept)
    model.observe(np.array([0]), np.array([1.0]))
    model.observe(np.array([1]), np.array([0.5]))
    assert model.mean(np.array([0]))[0] == pytest.approx(0.5 + 0.5 * 0.5 / 1.5, abs=1e-6)


def test_draws_spread_as_the_posterior():
    features = np.array([[3.0]])
    model = PassRateModel(features, Beliefs(ridge=40.0, forgetting=1.0, noise=0.04, memory_weight=1.0, memory_kept=1.0))
    rng = np.random.default_rng(0)
    draws = np.array([model.draw(np.array([0]), rng)[0] for _ in range(4000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    assert draws.std() == pytest.approx(np.sqrt(0.04 * 10 / 40), rel=0.05)  # x (A + lambda I)^-1 x with x = (3, 1)


def test_predictions_stay_inside_the_unit_interval():
    model = PassRateModel(np.array([[50.0], [-50.0]]), BELIEFS)
    model.observe(np.array([0, 1]), np.array([1.0, 0.0]))
    assert model.mean(np.array([0, 1])) == pytest.approx([0.98, 0.02])


def test_state_survives_json():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((20, 3))
    model, other = PassRateModel(features, BELIEFS), PassRateModel(features, BELIEFS)
    for _ in range(4):
        model.observe(rng.choice(20, 5, replace=False), rng.random(5))
    other.load(json.loads(json.dumps(model.state())))
    everything = np.arange(20)
    assert np.array_equal(model.mean(everything), other.mean(everything))
    same = [m.draw(everything, np.random.default_rng(3)) for m in (model, other)]
    assert np.array_equal(*same)
