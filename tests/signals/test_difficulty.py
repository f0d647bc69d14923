"""Difficulty: planted difficulty is found, shuffled labels are not, and nothing leaks."""

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import DifficultyConfig
from saerl_core.errors import DataError
from saerl_core.signals import difficulty
from saerl_core.signals.difficulty import calibrate_difficulty, rank_inside
from saerl_core.signals.labels import chosen_label, read_labels
from saerl_core.signals.linear import LinearModel
from tests.signals.factory import clusters, controls, features, noise, pass_rates, pool, shuffled

CONFIG = DifficultyConfig(label="pass_rate")
LEVEL = DifficultyConfig(label="level", n_labelled=150)


@pytest.fixture(scope="module")
def planted():
    """400 prompts, difficulty in latents 2 and 5; 200 of them measured with 8 rollouts; four clusters."""
    rng = np.random.default_rng(0)
    x = noise(400, 30, rng)
    x[:, 2], x[:, 5] = rng.random(400), rng.random(400)
    truth = np.clip(0.2 + 0.7 * x[:, 2] - 0.2 * x[:, 5], 0.02, 0.98)
    frame = pool(400)
    rates = pass_rates(frame["prompt_id"][:200], rng.binomial(8, 1 - truth[:200]))
    return frame, features(frame["prompt_id"], x), clusters(frame, np.arange(400) % 4), rates, truth


def memorise(x, y, *_):
    return LinearModel(np.asarray(x.T @ y).ravel(), 0.0)


def run(planted, config=CONFIG, seed=0, **changed):
    frame, x, groups, rates, _ = planted
    given = {"prompts": frame, "features": x, "controls": None, "clusters": groups, "pass_rates": rates, **changed}
    return calibrate_difficulty(**given, config=config, seed=seed)


@pytest.fixture(scope="module")
def result(planted):
    return run(planted)


def test_planted_difficulty_is_found(planted, result):
    table, report = result
    truth = planted[4]
    assert report.values["spearman"] > 0.6
    assert report.values["spearman"] < report.values["spearman_ceiling"] + 0.03
    assert report.values["r2"] > 0.35
    assert report.values["r2_ceiling"] > report.values["r2"] - 0.05
    assert report.values["spearman_within"] > 0.5
    assert np.corrcoef(table["predicted"][200:], truth[200:])[0, 1] > 0.9
    assert "beats the best baseline" in report.notes[0]
    assert report.values["spearman_gain_lo"] > 0
    assert report.values["spearman_lo"] < report.values["spearman"] < report.values["spearman_hi"]
    effects = {w.latent: w.effect for w in report.weights}
    assert max(effects, key=effects.__getitem__) == 2
    assert min(effects, key=effects.__getitem__) == 5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_labels_are_not_found(planted, seed):
    rates = planted[3].copy()
    order = np.random.default_rng(seed).permutation(200)
    rates[["n_correct", "pass_rate"]] = rates[["n_correct", "pass_rate"]].to_numpy()[order]
    rates["n_correct"] = rates["n_correct"].astype(int)
    _, report = run(planted, pass_rates=rates)
    assert abs(report.values["spearman"]) < 0.2
    assert report.values["r2"] < 0.1


def test_measured_prompts_keep_their_measurement(planted, result):
    table, report = result
    rates = planted[3]
    assert table["is_labelled"].sum() == 200
    assert (table["difficulty"][:200] == 1 - rates["pass_rate"]).all()
    assert (table["predicted"][:200] != table["difficulty"][:200]).any()
    assert (table["difficulty"][200:] == table["predicted"][200:]).all()
    assert report.values["n_labelled"] == 200
    assert report.label == "pass_rate"


def test_copies_of_a_prompt_never_sit_in_another_fold():
    # One latent a text and random labels: only a copy in another fold could teach the probe anything.
    rng = np.random.default_rng(0)
    texts = np.repeat(np.arange(50), 4)
    frame = pool(200, prompt=[f"task number {t}" for t in texts])
    rates = pass_rates(frame["prompt_id"], rng.integers(0, 9, 50)[texts])
    _, report = calibrate_difficulty(
        frame, features(frame["prompt_id"], np.eye(50)[texts]), None, clusters(frame), rates, CONFIG, 0
    )
    assert report.values["spearman"] < 0.2


def test_a_probe_that_memorises_knows_nothing_out_of_fold(monkeypatch):
    # One latent a text: whoever has not seen a text, or a copy of it, predicts 0 for it.
    texts = np.repeat(np.arange(60), 2)
    frame = pool(120, prompt=[f"task number {t}" for t in texts])
    rates = pass_rates(frame["prompt_id"], np.arange(120) % 8)
    monkeypatch.setattr(difficulty, "fit_elastic_net", memorise)
    table, _ = calibrate_difficulty(
        frame, features(frame["prompt_id"], np.eye(60)[texts]), None, clusters(frame), rates, CONFIG, 0
    )
    assert (table["predicted"] == 0.0).all()


def test_every_baseline_is_on_the_same_prompts(planted):
    frame = planted[0]
    _, report = run(planted, controls=controls(frame["prompt_id"], np.random.default_rng(0)))
    assert [row.features for row in report.table] == ["sae", "dense", "random_sae", "tfidf", "length", "mean"]
    assert {row.n for row in report.table} == {200}
    scores = {row.features: row.scores for row in report.table}
    assert scores["sae"]["spearman"] > max(scores[name]["spearman"] for name in scores if name != "sae")
    assert scores["mean"]["spearman"] == 0.0
    assert scores["mean"]["r2"] == pytest.approx(0.0, abs=0.01)
    assert report.values["spearman_best_baseline"] == max(
        scores[name]["spearman"] for name in ("dense", "random_sae", "tfidf", "length")
    )
    assert report.held_out_table == ()


def test_length_is_found_by_the_length_baseline():
    rng = np.random.default_rng(0)
    frame = pool(200, prompt=[f"{i} " + "x" * int(k) for i, k in enumerate(rng.integers(1, 80, 200))])
    rates = pass_rates(frame["prompt_id"], np.clip(8 - frame["prompt"].str.len() // 10, 0, 8))
    blind = features(frame["prompt_id"], noise(200, 20, rng))
    _, report = calibrate_difficulty(frame, blind, None, clusters(frame), rates, CONFIG, 0)
    assert {row.features: row.scores["spearman"] for row in report.table}["length"] > 0.95
    assert "is worse than the best baseline" in report.notes[0]


def test_levels_show_a_held_out_table(planted):
    frame, truth = planted[0], planted[4]
    level = np.digitize(truth, (0.3, 0.45, 0.6, 0.75)) + 1.0
    level[:10] = np.nan
    table, report = run(planted, LEVEL, prompts=frame.assign(level=level), pass_rates=None)
    known = table["is_labelled"].to_numpy()
    assert known.sum() == 390, "the plan goes by every level of the data, not by the 150 that the probe saw"
    assert report.values["n_labelled"] == 150
    assert report.values["n_held_out"] == 400 - 10 - 150
    assert {row.n for row in report.held_out_table} == {240}
    assert report.values["held_out_spearman"] > 0.8
    assert report.notes[0].startswith("On 240 held-out prompts")
    assert (table["difficulty"][known] == (level[known] - 1) / 4).all()
    assert not known[:10].any()
    assert (table["difficulty"][:10] == table["predicted"][:10]).all(), "predictions fill the gaps"
    assert "390 of 400 usable prompts came with a level, which the plan goes by" in report.notes[-1]
    assert "the other 10 get a prediction" in report.notes[-1]


def test_held_out_prompts_are_no_copies_of_seen_ones(planted):
    frame = planted[0]
    copies = frame.assign(level=np.arange(400) % 5 + 1.0, prompt=[f"same {i % 160}" for i in range(400)])
    labels = read_labels(copies, None, LEVEL, 0)
    seen = set(copies["prompt"][~np.isnan(labels.seen)])
    assert len(seen) > 50
    assert (~np.isnan(labels.held_out)).sum() == sum(p not in seen for p in copies["prompt"]) > 0


def test_known_pass_rates_are_labels_too(planted):
    frame, truth = planted[0], planted[4]
    config = DifficultyConfig(label="known_pass_rate", n_labelled=100)
    table, report = run(planted, config, prompts=frame.assign(known_pass_rate=1 - truth), pass_rates=None)
    assert report.values["held_out_spearman"] > 0.9
    assert table["is_labelled"].all()
    assert table["difficulty"].to_numpy() == pytest.approx(truth)


@pytest.mark.parametrize(("n_labelled", "first"), [(392, "Out of fold on 392"), (200, "On 200 held-out prompts")])
def test_a_handful_of_held_out_rows_is_no_headline(planted, n_labelled, first):
    config = DifficultyConfig(label="known_pass_rate", n_labelled=n_labelled)
    _, report = run(planted, config, prompts=planted[0].assign(known_pass_rate=1 - planted[4]), pass_rates=None)
    assert report.notes[0].startswith(first)
    assert any(note.startswith(f"On {400 - n_labelled} held-out prompts") for note in report.notes)


def test_scores_off_the_scale_are_said(planted):
    rates = 1 - planted[4]
    rates[:30] = np.nan
    frame = planted[0].assign(known_pass_rate=rates, flags=["unreadable_pass_rate"] * 25 + ["x"] * 5 + [""] * 370)
    _, report = run(planted, DifficultyConfig(label="known_pass_rate"), prompts=frame, pass_rates=None)
    [note] = [n for n in report.notes if "one-sided" in n]
    assert note.startswith("The pass rate of 25 of 400 usable prompts is no number in [0, 1] and counts as missing.")
    assert note.endswith("map another in prompts.columns.pass_rate.")


ANSWERS = pd.DataFrame(
    {
        "prompt_id": [f"p{i:04d}" for i in range(5)],
        "prompt_nll_mean": [1.0, 2.0, 1.0, 1.0, 1.0],
        "prompt_nll_max": 3.0,
        "answer_nll_mean": [0.5, 0.1, 0.1, 4.0, 0.5],
        "answer_nll_max": 5.0,
    }
)


@pytest.mark.parametrize("label", ["auto", "likelihood", "level", "known_pass_rate"])
def test_a_pool_without_labels_is_ordered_by_the_likelihood_of_its_answers(label):
    frame = pool(5)
    x = features(frame["prompt_id"], np.ones((5, 3)))
    config = DifficultyConfig(label=label)
    table, report = calibrate_difficulty(frame, x, None, clusters(frame), None, config, 0, likelihood=ANSWERS)
    assert table["difficulty"].tolist() == [0.625, 0.25, 0.0, 1.0, 0.625]
    assert not table["is_labelled"].any()
    assert report.label == "likelihood"
    assert "how unlikely the policy finds the reference answer" in report.notes[0]
    assert ("but no usable prompt has one" in report.notes[0]) == (label in ("level", "known_pass_rate"))
    other, _ = calibrate_difficulty(
        shuffled(frame), x, None, clusters(frame), None, config, 0, likelihood=shuffled(ANSWERS, 3)
    )
    assert other.set_index("prompt_id")["difficulty"].to_dict() == table.set_index("prompt_id")["difficulty"].to_dict()
    with pytest.raises(DataError, match=r"no usable prompt has a label; give the policy's likelihood"):
        calibrate_difficulty(frame, x, None, clusters(frame), None, config, 0)


def test_latents_that_go_with_an_unlikely_answer_are_told(planted):
    frame, _, _, _, truth = planted
    flat = dict.fromkeys(("prompt_nll_mean", "prompt_nll_max", "answer_nll_max"), 1.0)
    likelihood = pd.DataFrame({"prompt_id": frame["prompt_id"], "answer_nll_mean": truth, **flat})
    _, report = run(planted, DifficultyConfig(label="likelihood"), pass_rates=None, likelihood=likelihood)
    effects = {w.latent: w.effect for w in report.weights}
    assert max(effects, key=effects.__getitem__) == 2
    assert min(effects, key=effects.__getitem__) == 5


def test_no_label_is_the_middle(planted):
    table, report = run(planted, DifficultyConfig(label="none"), pass_rates=None)
    assert (table["difficulty"] == 0.5).all()
    assert (table["calibrated"] == 0.5).all()
    assert report.label == "none"
    assert "no order rests on it" in report.notes[0]


@pytest.mark.parametrize(
    ("columns", "measured", "label", "found"),
    [
        ({}, False, "auto", "likelihood"),
        ({"level": 2.0}, False, "auto", "level"),
        ({"level": 2.0}, True, "auto", "pass_rate"),
        ({"level": 2.0, "known_pass_rate": 0.5}, True, "auto", "known_pass_rate"),
        ({"level": [2.0] * 9 + [None] * 3}, False, "auto", "level"),
        ({"known_pass_rate": [0.5] * 9 + [None] * 3}, True, "auto", "pass_rate"),
        ({"known_pass_rate": [0.5] * 9 + [None] * 3, "level": 2.0}, False, "auto", "level"),
        ({"level": 2.0, "usable": False}, False, "auto", "likelihood"),
        ({"level": 2.0}, False, "known_pass_rate", "likelihood"),
        ({"known_pass_rate": 0.5}, True, "none", "none"),
        ({}, False, "pass_rate", "pass_rate"),
    ],
)
def test_which_label_is_taken(columns, measured, label, found):
    frame = pool(12, **columns)
    rates = pass_rates(frame["prompt_id"][:3], [1, 2, 3]) if measured else pass_rates([], [])
    assert chosen_label(frame, rates, DifficultyConfig(label=label)) == found


def test_row_order_does_not_matter(planted, result):
    frame, _, groups, rates, _ = planted
    first, report = result
    again, same = run(planted, prompts=shuffled(frame), clusters=shuffled(groups), pass_rates=shuffled(rates))
    both = first.set_index("prompt_id").loc[list(again["prompt_id"])].reset_index()
    pd.testing.assert_frame_equal(both, again)
    assert report == same


def test_ranks_inside_a_cluster_by_hand():
    values = np.array([0.9, 0.1, 0.5, 0.5, 0.2, 0.7])
    groups = np.array([0, 0, 0, 0, 0, 1])
    assert rank_inside(values, groups).tolist() == [1.0, 0.0, 0.625, 0.625, 0.25, 0.5]


def test_calibrated_is_the_rank_inside_the_cluster(result):
    table, _ = result
    for cluster in range(4):
        rows = table[np.arange(400) % 4 == cluster].sort_values("difficulty")
        assert rows["calibrated"].is_monotonic_increasing
        assert rows["calibrated"].mean() == pytest.approx(0.5)


def test_equal_labels_are_a_stated_constant(planted):
    frame = planted[0]
    table, report = run(planted, pass_rates=pass_rates(frame["prompt_id"][:50], np.full(50, 8)))
    assert (table["predicted"] == 0.0).all()
    assert "all 50 labels are 0" in report.notes[0]
    assert (table["calibrated"] == 0.5).all()


def test_too_few_labels_are_a_stated_constant(planted):
    frame = planted[0]
    table, report = run(planted, pass_rates=pass_rates(frame["prompt_id"][:4], [0, 2, 4, 8]))
    assert "4 different labelled prompts are fewer than 10" in report.notes[0]
    assert (table["predicted"] == 0.5625).all()
    assert table["difficulty"][:4].tolist() == [1.0, 0.75, 0.5, 0.0]


def test_fewer_labels_than_folds_use_fewer_folds(planted):
    frame = planted[0]
    config = DifficultyConfig(folds=30, min_document_frequency=1)
    _, report = run(planted, config, pass_rates=pass_rates(frame["prompt_id"][:12], np.arange(12) % 9))
    assert report.values["n_folds"] == 12


def test_one_level_only_is_the_middle(planted):
    table, report = run(planted, LEVEL, prompts=planted[0].assign(level=3.0), pass_rates=None)
    assert (table["difficulty"] == 0.5).all()
    assert "labels are 0.5" in report.notes[0]


def test_silent_features_predict_the_mean(planted):
    frame = planted[0]
    _, report = run(planted, features=features(frame["prompt_id"], np.zeros((400, 3))))
    assert report.values["r2"] == pytest.approx(0.0, abs=0.02)
    assert abs(report.values["spearman"]) < 0.2


@pytest.mark.parametrize(
    ("changed", "config", "words"),
    [
        ({"pass_rates": None}, CONFIG, "no pass rate was measured"),
        ({"pass_rates": pass_rates(["x1", "x2"], [1, 2])}, CONFIG, "none of the 2 prompts"),
        ({}, LEVEL, "no usable prompt has a label"),
        ({"clusters": clusters(pool(3))}, CONFIG, "has no cluster"),
        ({"prompts": pool(1)[:0]}, CONFIG, "holds no prompt"),
        ({"features": features(["p0000"], np.ones((1, 3)))}, CONFIG, "has no features"),
    ],
)
def test_bad_input(planted, changed, config, words):
    with pytest.raises(DataError, match=words):
        run(planted, config, **changed)
