import json

import numpy as np
import pytest

from saerl_core.plan.pass_rate_model import Beliefs, PassRateModel, live_share

NEVER = 1e12  # a half-life that nothing sees the end of


def beliefs(prior=8.0, half_life=NEVER, noise=0.24, memory_prior=4.0, memory_half_life=NEVER):
    return Beliefs(prior, half_life, noise, memory_prior, memory_half_life)


def observe(model, index, rates, group=4):
    index, rates = np.array(index), np.array(rates)
    model.observe(index, np.full(len(index), group), np.round(rates * group).astype(int))


def test_weights_are_those_of_ridge_regression_on_faded_evidence():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((6, 2))
    model = PassRateModel(features, beliefs(prior=8.0, half_life=8.0, memory_prior=1e12))
    observe(model, [0, 1, 2], [1.0, 0.0, 0.5])
    observe(model, [3, 4], [0.25, 0.75])
    rows = np.hstack([features, np.ones((6, 1))])
    weight = 4 * np.array([0.5] * 3 + [1.0] * 2)  # four rollouts each; the first batch is eight rollouts old
    seen = rows[[0, 1, 2, 3, 4]]
    target = np.array([0.5, -0.5, 0.0, -0.25, 0.25])
    solution = np.linalg.solve(seen.T * weight @ seen + 8.0 * np.eye(3), seen.T * weight @ target)
    expected = np.clip(0.5 + rows @ solution, 0.02, 0.98)
    assert model.mean(np.arange(6)) == pytest.approx(expected, abs=1e-9)


def test_a_prompt_remembers_what_the_features_cannot_say():
    model = PassRateModel(np.zeros((2, 1)), beliefs(prior=1e9))
    observe(model, [0], [1.0])  # residual .5, four rollouts against a prior of four: half of it is believed
    assert model.mean(np.array([0, 1])) == pytest.approx([0.75, 0.5], abs=1e-6)
    observe(model, [0], [1.0])
    assert model.mean(np.array([0]))[0] == pytest.approx(0.5 + 0.5 * 2 / 3, abs=1e-6)


def test_memory_fades():
    model = PassRateModel(np.zeros((2, 1)), beliefs(prior=1e9, memory_half_life=4.0))
    observe(model, [0], [1.0])
    observe(model, [1], [0.5])
    assert model.mean(np.array([0]))[0] == pytest.approx(0.5 + 0.5 * 0.5 / 1.5, abs=1e-6)


def test_draws_spread_as_the_posterior():
    features = np.array([[3.0]])
    model = PassRateModel(features, beliefs(prior=40.0, noise=0.04))
    rng = np.random.default_rng(0)
    draws = np.array([model.draw(np.array([0]), rng)[0] for _ in range(4000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    assert draws.std() == pytest.approx(np.sqrt(0.04 * 10 / 40), rel=0.05)  # x (A + lambda I)^-1 x with x = (3, 1)


def test_predictions_stay_inside_the_unit_interval():
    model = PassRateModel(np.array([[50.0], [-50.0]]), beliefs())
    observe(model, [0, 1], [1.0, 0.0])
    assert model.mean(np.array([0, 1])) == pytest.approx([0.98, 0.02])


def test_state_survives_json():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((20, 3))
    model, other = PassRateModel(features, beliefs()), PassRateModel(features, beliefs())
    for _ in range(4):
        observe(model, rng.choice(20, 5, replace=False), rng.random(5))
    other.load(json.loads(json.dumps(model.state())))
    everything = np.arange(20)
    assert np.array_equal(model.mean(everything), other.mean(everything))
    same = [m.draw(everything, np.random.default_rng(3)) for m in (model, other)]
    assert np.array_equal(*same)
    assert np.array_equal(model.sd(everything), other.sd(everything))


@pytest.mark.parametrize("group", [2, 4, 8])
def test_group_and_batch_size_change_nothing_but_the_order_of_the_evidence(group):
    """The same 64 rollouts of the same prompts, in groups of any size, teach the same."""
    features = np.random.default_rng(2).standard_normal((5, 2))
    model = PassRateModel(features, beliefs(memory_prior=1e12))
    for _ in range(8 // group):
        observe(model, range(5), [0.5] * 4 + [1.0], group)
    once = PassRateModel(features, beliefs(memory_prior=1e12))
    observe(once, range(5), [0.5] * 4 + [1.0], 8)
    assert model.mean(np.arange(5)) == pytest.approx(once.mean(np.arange(5)), abs=1e-9)


def test_a_group_is_live_as_often_as_counted_by_hand():
    # p ~ Beta(1, 1), groups of two: E[p^2] = E[(1-p)^2] = 1/3
    assert live_share(np.array([0.5]), np.array([2.0]), 2) == pytest.approx([1 / 3])
    # a rate that is known exactly: 1 - p^4 - (1-p)^4
    assert live_share(np.array([0.3]), np.array([1e9]), 4) == pytest.approx([1 - 0.3**4 - 0.7**4], abs=1e-6)


@pytest.mark.parametrize(("spread", "least", "most"), [(0.0, 15, 60), (1.0, 0.0, 0.3)])
def test_it_learns_how_much_the_features_leave_open(spread, least, most):
    """Prompts whose rates are all alike leave nothing open; prompts that are 0 or 1 leave everything."""
    rng = np.random.default_rng(4)
    rates = np.where(rng.random(600) < 0.5, 0.0, 1.0) if spread else np.full(600, 0.5)
    model = PassRateModel(np.zeros((600, 1)), beliefs())
    for batch in np.split(np.arange(500), 25):
        model.observe(batch, np.full(20, 8), rng.binomial(8, rates[batch]))
    assert least <= model.concentration(np.array([550]))[0] <= most


def test_the_sd_of_a_prompt_that_was_tried_is_smaller():
    model = PassRateModel(np.zeros((3, 1)), beliefs())
    before = model.sd(np.array([0]))[0]
    observe(model, [0], [0.5], 16)
    assert model.sd(np.array([0]))[0] < model.sd(np.array([1]))[0] <= before
