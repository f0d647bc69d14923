"""The quality probe: planted badness is found, nothing leaks, and every fallback is stated."""

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import QualityConfig
from saerl_core.errors import DataError
from saerl_core.signals import quality as room
from saerl_core.signals.corruptions import corrupt_prompts
from saerl_core.signals.linear import LinearModel
from saerl_core.signals.quality import score_with, train_quality_probe
from tests.signals.factory import controls, features, noise, pool, shuffled

CONFIG = QualityConfig(n_corruptions=60)
D = 24


@pytest.fixture(scope="module")
def planted():
    """A pool of 160, 60 corruptions, and features of which number 3 speaks for good and number 9 for bad."""
    rng = np.random.default_rng(0)
    frame = pool(160)
    bad = corrupt_prompts(frame, CONFIG, 0)
    good_rows, bad_rows = noise(160, D, rng), noise(len(bad), D, rng)
    good_rows[:, 3] += 1.5 * (rng.random(160) < 0.8)
    bad_rows[:, 9] += 1.5 * (rng.random(len(bad)) < 0.8)
    return frame, features(frame["prompt_id"], good_rows), bad, features(bad["prompt_id"], bad_rows)


def column_pool(labels, **columns):
    return pool(len(labels), quality_label=labels, **columns)


@pytest.fixture(scope="module")
def result(planted):
    return train_quality_probe(*planted, CONFIG, 0)


def test_planted_quality_is_found(planted, result):
    quality, probe, report = result
    assert report.values["auc"] > 0.9
    assert report.values["pearson_r"] > 0.55
    assert all(report.values[f"auc_{kind}"] > 0.8 for kind in ("truncated", "merged", "garbage"))
    assert probe.weights.shape == (D,)
    assert np.argmax(probe.weights) == 3
    assert np.argmin(probe.weights) == 9
    effects = {w.latent: w.effect for w in report.weights}
    assert max(effects, key=effects.__getitem__) == 3
    assert min(effects, key=effects.__getitem__) == 9
    assert {w.latent: w.weight for w in report.weights} == {j: w for j, w in enumerate(probe.weights) if w}
    assert quality["quality_score"].between(0, 1).all()
    assert list(quality["prompt_id"]) == list(planted[0]["prompt_id"])


def test_the_returned_probe_scores_other_prompts(planted, result):
    _, good, _, bad_features = planted
    _, probe, _ = result
    assert score_with(probe, good.matrix).mean() > 0.6
    assert score_with(probe, bad_features.matrix).mean() < 0.4


def test_features_that_know_nothing_find_nothing(planted):
    frame, _, bad, _ = planted
    rng = np.random.default_rng(1)
    blind = features(frame["prompt_id"], noise(160, D, rng))
    _, _, report = train_quality_probe(
        frame, blind, bad, features(bad["prompt_id"], noise(len(bad), D, rng)), CONFIG, 0
    )
    assert abs(report.values["auc"] - 0.5) < 0.12
    assert "is worse than the best baseline" in report.notes[0]


def test_copies_and_corruptions_never_sit_in_another_fold():
    # One latent a text and random labels: a probe can only be right by having seen a copy of the text.
    rng = np.random.default_rng(0)
    texts = np.repeat(np.arange(50), 4)
    labels = rng.integers(0, 2, 50).astype(float)[texts]
    frame = column_pool(labels, prompt=[f"task number {t}" for t in texts])
    own = features(frame["prompt_id"], np.eye(50)[texts])
    _, _, report = train_quality_probe(frame, own, None, None, QualityConfig(labels="column"), 0)
    assert report.values["auc"] < 0.6


def test_a_probe_that_memorises_knows_nothing_out_of_fold(monkeypatch):
    # One latent a text: whoever has not seen a text, or a copy of it, is undecided about it.
    texts = np.repeat(np.arange(60), 2)
    frame = column_pool(np.arange(60)[texts] % 2.0, prompt=[f"task number {t}" for t in texts])
    monkeypatch.setattr(room, "fit_logistic", lambda x, y, *_: LinearModel(np.asarray(x.T @ (y - 0.5)).ravel(), 0.0))
    quality, _, _ = train_quality_probe(
        frame, features(frame["prompt_id"], np.eye(60)[texts]), None, None, QualityConfig(labels="column"), 0
    )
    assert (quality["quality_score"] == 0.5).all()


def test_partners_of_a_corruption_share_its_fold(planted):
    from saerl_core.signals.quality_items import collect_items

    frame, _, bad, _ = planted
    items = collect_items(frame, bad, CONFIG)
    group_of = dict(zip([*frame["prompt_id"], *bad["prompt_id"]], items.groups, strict=True))
    for row in bad.itertuples():
        assert group_of[row.prompt_id] == group_of[row.original_id]
        if isinstance(row.partner_id, str):
            assert group_of[row.prompt_id] == group_of[row.partner_id]
    assert len(set(items.groups.tolist())) > 20


def test_keep_drops_the_lowest_quantile(planted):
    quality, _, report = train_quality_probe(*planted, QualityConfig(n_corruptions=60, drop_quantile=0.25), 0)
    assert (~quality["keep"]).sum() == 40
    assert report.values["keep_frac"] == 0.75
    assert quality.loc[~quality["keep"], "quality_score"].max() <= quality.loc[quality["keep"], "quality_score"].min()


def test_keep_by_threshold(planted):
    quality, _, _ = train_quality_probe(*planted, QualityConfig(n_corruptions=60, threshold=0.5), 0)
    assert (quality["keep"] == (quality["quality_score"] >= 0.5)).all()


def test_ties_are_broken_by_prompt_id():
    frame = column_pool(np.tile([0.0, 1.0], 20))
    quality, _, _ = train_quality_probe(
        frame,
        features(frame["prompt_id"], np.zeros((40, 3))),
        None,
        None,
        QualityConfig(labels="column", drop_quantile=0.1),
        0,
    )
    assert list(quality.loc[~quality["keep"], "prompt_id"]) == ["p0000", "p0001", "p0002", "p0003"]


def test_row_order_does_not_matter(planted, result):
    frame, good, bad, bad_features = planted
    first, probe, _ = result
    mixed, again, _ = train_quality_probe(shuffled(frame), good, shuffled(bad), bad_features, CONFIG, 0)
    both = first.merge(mixed, on="prompt_id")
    assert list(mixed["prompt_id"]) == list(shuffled(frame)["prompt_id"])
    assert both["quality_score_x"].to_numpy() == pytest.approx(both["quality_score_y"].to_numpy(), abs=1e-6)
    assert (both["keep_x"] == both["keep_y"]).all()
    assert probe.weights == pytest.approx(again.weights, abs=1e-6)


def test_baselines_stand_beside_it(planted):
    frame, good, bad, bad_features = planted
    rng = np.random.default_rng(0)
    _, _, report = train_quality_probe(
        frame,
        good,
        bad,
        bad_features,
        CONFIG,
        0,
        controls=controls(frame["prompt_id"], rng),
        corrupted_controls=controls(bad["prompt_id"], rng),
    )
    assert [row.features for row in report.table] == ["sae", "dense", "random_sae", "tfidf", "length"]
    assert {row.n for row in report.table} == {220}
    assert report.values["auc_gain_lo"] < report.values["auc_gain"] < report.values["auc_gain_hi"]


def test_the_truth_is_compared_with_but_never_learned_from(planted, result):
    frame, good, bad, bad_features = planted
    truth = np.where(np.arange(160) % 5 == 0, "garbled", "clean")
    first, _, plain = result
    second, _, report = train_quality_probe(frame.assign(truth=truth), good, bad, bad_features, CONFIG, 0)
    pd.testing.assert_frame_equal(first, second)
    assert "auc_truth" not in plain.values
    assert report.values["auc_truth"] == report.values["auc_truth_garbled"]
    assert abs(report.values["auc_truth"] - 0.5) < 0.2


def test_unusable_prompts_are_scored_but_not_learned_from(planted):
    frame, good, bad, bad_features = planted
    part = frame.assign(usable=np.arange(160) >= 40)
    quality, _, report = train_quality_probe(part, good, bad, bad_features, CONFIG, 0)
    assert len(quality) == 160
    assert report.values["n_labelled"] == 120 + len(bad)
    cut, _, _ = train_quality_probe(part, good, bad, bad_features, CONFIG.model_copy(update={"drop_quantile": 0.1}), 0)
    assert (~cut["keep"][40:]).sum() == 12


def test_the_users_own_labels(planted):
    rng = np.random.default_rng(0)
    labels = rng.random(200)
    labels[150:] = np.nan
    frame = column_pool(labels)
    x = noise(200, D, rng)
    x[:, 5] = np.nan_to_num(labels, nan=0.9)
    quality, _, report = train_quality_probe(
        frame, features(frame["prompt_id"], x), None, None, QualityConfig(labels="column"), 0
    )
    assert report.values["n_labelled"] == 150
    assert report.values["pearson_r"] > 0.9
    assert "auc" not in report.values
    assert quality["quality_score"][150:].mean() > 0.75


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.ones(20), "all 20 labels are 1"),
        (np.full(20, np.nan), "there is no label"),
        (np.r_[np.zeros(3), np.ones(17)], "3 labels of the rarer class"),
    ],
)
def test_where_no_probe_can_be_fitted_everything_is_kept_and_said(labels, words):
    frame = column_pool(labels)
    quality, probe, report = train_quality_probe(
        frame, features(frame["prompt_id"], np.ones((20, 4))), None, None, QualityConfig(labels="column"), 0
    )
    assert words in report.notes[0]
    assert (quality["quality_score"] == 1.0).all()
    assert quality["keep"].all()
    assert not probe.weights.any()


def test_bad_input(planted):
    frame, good, bad, bad_features = planted
    with pytest.raises(DataError, match="no corrupted prompts were given"):
        train_quality_probe(frame, good, None, None, CONFIG, 0)
    with pytest.raises(DataError, match="have no features"):
        train_quality_probe(frame, good, bad, None, CONFIG, 0)
    with pytest.raises(DataError, match="holds no prompt"):
        train_quality_probe(frame[:0], good, bad, bad_features, CONFIG, 0)
    with pytest.raises(DataError, match="is not in the pool"):
        train_quality_probe(frame[:5], good, bad, bad_features, CONFIG, 0)
