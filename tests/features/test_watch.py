"""Tripwires: planted shifts are found, equal answers move nothing, and chance rarely rings."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from saerl_core.config.run import FeaturesConfig
from saerl_core.features.watch import _shifts, watch_features
from tests.features.conftest import make_pool


def test_by_hand():
    """Four answers: latent 0 in none, then all; 1 in all, then none; 2 always; 3 never; 4 in one, then in another."""
    before = np.array([[0, 1, 1, 0, 1], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0]])
    after = np.array([[1, 0, 1, 0, 0], [1, 0, 1, 0, 1], [1, 0, 1, 0, 0], [1, 0, 1, 0, 0]])
    shifts, n_moved, n_latents = _shifts(csr_matrix(np.vstack([before, after]).astype(np.float32)), 4)
    assert [(s.latent, s.before, s.after, s.z) for s in shifts] == [(0, 0.0, 1.0, 2.0), (1, 1.0, 0.0, -2.0)]
    assert (n_moved, n_latents) == (0, 4), "z = 2 is within chance among four latents"


def test_a_planted_shift_rings_and_the_others_do_not():
    rng = np.random.default_rng(0)
    before, after = (rng.random((100, 50)) < 0.3 for _ in range(2))
    before[:, 7], after[:, 7] = rng.random(100) < 0.05, rng.random(100) < 0.6
    shifts, n_moved, _ = _shifts(csr_matrix(np.vstack([before, after]).astype(np.float32)), 100)
    assert (shifts[0].latent, shifts[0].is_alarm, n_moved) == (7, True, 1)


def test_chance_rings_in_at_most_one_of_twenty_runs():
    rng = np.random.default_rng(1)
    rings = 0
    for _ in range(200):
        both = (rng.random((120, 40)) < 0.3).astype(np.float32)
        rings += _shifts(csr_matrix(both), 60)[1] > 0
    assert rings <= 18  # of 200: more is seen once in fifty such tests where the rate is .05


@pytest.fixture
def answered():
    prompts = make_pool(30)
    return prompts, {"before": ["1+2"] * 30, "after": ["1+2"] * 30}


def test_equal_answers_move_nothing(policy, sae, answered):
    prompts, answers = answered
    report = watch_features(prompts, answers, policy, sae, FeaturesConfig(device="cpu"), 0)
    assert report.shifts == ()
    assert report.values["n_answers_changed"] == report.values["n_moved"] == 0
    assert report.values["n_latents"] > 0


def test_other_answers_move_latents_of_both_saes(policy, sae, answered):
    prompts, answers = answered
    report = watch_features(
        prompts, {**answers, "after": ["jjjjjjjjjjjjjjjj"] * 30}, policy, sae, FeaturesConfig(device="cpu"), 0
    )
    assert report.values["n_answers_changed"] == 30
    assert report.values["n_moved"] > 0
    assert report.values["n_moved_random_sae"] > 0, "the control says that any reading of the activations sees it"
    assert {s.z > 0 for s in report.shifts} == {True, False}
