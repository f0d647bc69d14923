"""Clusters: planted groups are found, and degenerate pools have a stated way out."""

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import ClustersConfig
from saerl_core.errors import DataError
from saerl_core.signals import clusters as room
from saerl_core.signals.cluster_cards import strongest_features
from saerl_core.signals.clusters import _fit_to_pool, cluster_prompts
from tests.signals.factory import features, noise, pool, shuffled

FOUR = ClustersConfig(n_clusters=4, svd_components=8)


@pytest.fixture(scope="module")
def planted():
    """Four topics of different size; topic t lights up latents 5t .. 5t + 4."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(4), (80, 60, 40, 20))
    x = noise(200, 30, rng, density=0.05)
    for t in range(4):
        x[group == t, 5 * t : 5 * t + 5] += 2.0
    frame = pool(200, topic=[f"t{t}" for t in group], level=(np.arange(200) % 3).astype(float))
    return frame, features(frame["prompt_id"], x)


def test_planted_topics_are_found(planted):
    table, report = cluster_prompts(*planted, FOUR, 0)
    assert report.values["nmi_topic"] > 0.95
    assert report.values["ari_topic"] > 0.95
    assert report.values["nmi_level"] < 0.1
    assert report.values["silhouette"] > 0.5
    assert report.values["silhouette_random"] < 0.05
    assert table["cluster_id"].value_counts().sort_index().tolist() == [80, 60, 40, 20]
    assert report.values["largest"] == 80
    assert report.values["smallest"] == 20


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_largest_cluster_is_number_0(planted, seed):
    table, _ = cluster_prompts(*planted, FOUR, seed)
    assert table["cluster_id"].value_counts().sort_index().tolist() == [80, 60, 40, 20]


def test_cards_name_the_planted_latents(planted):
    _, report = cluster_prompts(*planted, FOUR, 0)
    assert [card.size for card in report.cards] == [80, 60, 40, 20]
    for t, card in enumerate(report.cards):
        assert {latent for latent, _ in card.top_features[:5]} == set(range(5 * t, 5 * t + 5))
        assert (card.main_topic, card.main_topic_frac) == (f"t{t}", 1.0)
        assert len(card.nearest_prompts) == 4


def test_lift_by_hand():
    rows = features(["a", "b"], [[2.0, 0.0, 1.0], [4.0, 0.0, 1.0]]).matrix
    lifts = strongest_features(rows, np.array([1.0, 0.5, 1.0]), np.array([0.5, 1.0, 0.0]))
    assert lifts == ((0, 4.0),)  # (3 - 1) / 0.5; a latent at or below the pool's mean is not listed


def test_row_order_does_not_matter(planted):
    frame, x = planted
    first, report = cluster_prompts(frame, x, FOUR, 0)
    again, same = cluster_prompts(shuffled(frame), x, FOUR, 0)
    both = first.set_index("prompt_id").loc[list(again["prompt_id"])].reset_index()
    pd.testing.assert_frame_equal(both, again)
    assert report == same


def test_the_map_is_a_bounded_sample(planted, monkeypatch):
    monkeypatch.setattr(room, "_MAP_ROWS", 50)
    table, report = cluster_prompts(*planted, FOUR, 0)
    assert len(report.map_points) == len(report.map_prompts) == 50
    clusters = table.set_index("prompt_id")["cluster_id"]
    assert [p[2] for p in report.map_points] == list(clusters.loc[list(report.map_prompts)])
    assert any("first two principal components" in note for note in report.notes)
    centres = [np.mean([p[:2] for p in report.map_points if p[2] == c], axis=0) for c in (0, 1)]
    assert np.linalg.norm(centres[0] - centres[1]) > 0.5


def test_large_pools_go_through_batches(planted, monkeypatch):
    monkeypatch.setattr(room, "_MINIBATCH_ROWS", 100)
    _, report = cluster_prompts(*planted, FOUR, 0)
    assert report.values["nmi_topic"] > 0.9


@pytest.mark.parametrize(("n", "found"), [(1, 1), (3, 1), (9, 2), (15, 3)])
def test_a_pool_smaller_than_the_number_of_clusters_gets_fewer(planted, n, found):
    frame, x = planted
    table, report = cluster_prompts(frame[:n], x, ClustersConfig(n_clusters=16), 0)
    assert table["cluster_id"].nunique() <= found
    verb = "is" if found == 1 else "are"
    assert f"{n} usable prompts cannot fill clusters.n_clusters = 16: there {verb} {found}" in report.notes[0]


def test_a_pool_without_usable_prompts_is_an_error(planted):
    frame, x = planted
    with pytest.raises(DataError, match="none of the 200 prompts is usable"):
        cluster_prompts(frame.assign(usable=False), x, FOUR, 0)


def test_identical_prompts_are_one_cluster():
    frame = pool(10)
    table, report = cluster_prompts(frame, features(frame["prompt_id"], np.ones((10, 6))), FOUR, 0)
    assert set(table["cluster_id"]) == {0}
    assert "Only 1 different embedding exists: 1 cluster instead of 4." in report.notes
    assert not any("overlap" in note for note in report.notes)
    assert report.values["silhouette"] == 0.0
    assert table["centroid_distance"].max() < 1e-6


def test_prompts_without_active_features_have_a_place(planted):
    frame, x = planted
    rows = x.matrix.toarray()
    rows[:7] = 0.0
    table, report = cluster_prompts(frame, features(frame["prompt_id"], rows), FOUR, 0)
    assert len(table) == 200
    assert report.values["n_silent"] == 7
    assert any("7 prompts have no active feature" in note for note in report.notes)


def test_a_silent_pool_is_one_cluster():
    frame = pool(10)
    table, _ = cluster_prompts(frame, features(frame["prompt_id"], np.zeros((10, 6))), FOUR, 0)
    assert set(table["cluster_id"]) == {0}


def test_unusable_prompts_get_the_nearest_cluster(planted):
    frame, x = planted
    part = frame.assign(usable=np.arange(200) % 4 > 0)
    table, report = cluster_prompts(part, x, FOUR, 0)
    assert len(table) == 200
    assert report.values["nmi_topic"] > 0.95


@pytest.mark.parametrize(("n", "d"), [(1, 5), (5, 1), (2, 2)])
def test_tiny_shapes(n, d):
    frame = pool(n, topic=None)
    x = np.random.default_rng(0).random((n, d))
    table, report = cluster_prompts(frame, features(frame["prompt_id"], x), ClustersConfig(n_clusters=1), 0)
    assert set(table["cluster_id"]) == {0}
    assert report.cards[0].main_topic is None
    assert "nmi_topic" not in report.values


@pytest.mark.parametrize(
    ("n_usable", "batch", "k"),
    [(2400, 32, 16), (2048, 32, 16), (2047, 32, 15), (300, 32, 2), (100, 32, 1), (7, 32, 1), (2400, None, 16)],
)
def test_without_a_number_of_clusters_each_gives_four_batches(n_usable, batch, k):
    found, notes = _fit_to_pool(None, n_usable, n_usable, batch)
    assert found == k
    assert bool(notes) == (k < 16)


def test_auto_is_no_number(planted):
    assert ClustersConfig.model_validate({"n_clusters": "auto"}) == ClustersConfig()
    _, report = cluster_prompts(*planted, ClustersConfig(svd_components=8), 0, prompts_per_step=5)
    assert report.notes[0].startswith("clusters.n_clusters is not set: there are ")


def test_a_pool_of_one_cluster_says_what_two_would_take(planted):
    frame, x = planted
    _, report = cluster_prompts(frame[:60], x, ClustersConfig(), 0, prompts_per_step=16)
    assert report.notes[0].endswith("60 usable prompts are one cluster; two of about 4 batches of 16 would take 128.")
