"""Names of latents on the page."""

from dataclasses import replace

import pytest

from saerl_core.named_features import NamedFeatures
from saerl_core.probe_rows import FeatureWeight
from saerl_core.records import ClusterCard
from saerl_core.report.blocks import Missing, Table, Text
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.named import cluster_chips, strongest, what_makes_a_prompt
from saerl_core.report.page import render_report
from tests.report.checking import read
from tests.report.factory import full_run


@pytest.fixture(scope="module")
def full() -> ReportInputs:
    return full_run()


def test_the_ten_strongest_each_way_with_names_and_examples(full):
    text, *tables = what_makes_a_prompt(full)
    assert isinstance(text, Text)
    assert all(isinstance(table, Table) and len(table.rows) == 10 for table in tables)
    hard, easy, good, bad = tables
    assert hard.title == "Hard prompts (label: the measured pass rate)"
    first = str(full.train["prompt"].iloc[0])
    # effect of latent 0: 0.1 on the difficulty, 0.5 on the log-odds; it is in 1 of 1,200 prompts
    assert hard.rows[0] == ["word 0", f"«{first}»", "0.1", "0.5", "0.1 %", "#0"]
    assert [row[-1] for row in hard.rows] == [f"#{2 * j}" for j in range(10)]
    assert [row[-1] for row in easy.rows] == [f"#{2 * j + 1}" for j in range(10)]
    assert good.rows[0][2:4] == ["0.5", "0.1"]
    assert bad.rows[0][2:4] == ["\N{MINUS SIGN}0.5", "\N{MINUS SIGN}0.1"]
    assert good.columns[2] == "effect on log-odds of being sound"


def test_ties_go_to_the_smaller_number_and_zero_is_no_effect():
    weights = [FeatureWeight(latent=j, weight=1.0, effect=e) for j, e in ((3, 0.5), (1, 0.5), (2, -0.7), (0, 0.0))]
    assert [w.latent for w in strongest(weights, 1)] == [1, 3]
    assert [w.latent for w in strongest(weights, -1)] == [2]
    assert [w.latent for w in strongest(weights, 1, n=1)] == [1]


def test_a_cluster_says_what_it_fires_on(full):
    card = full.clusters_report.cards[0]
    page = render_report(full)
    assert "fires on:" in page
    names = NamedFeatures.of(full.feature_names)
    for latent, _ in card.top_features:
        assert f">{names[latent].name}</span>" in page


def test_equal_names_are_one_chip():
    table = full_run(300, n_steps=4).feature_names.assign(name="mod")
    card = ClusterCard(
        cluster_id=0,
        size=3,
        top_features=((7, 2.5), (9, 1.0)),
        nearest_prompts=(),
        main_topic=None,
        main_topic_frac=None,
    )
    told = "latent #7, 2.5 standard deviations above the pool; latent #9, 1 standard deviations above the pool"
    assert cluster_chips(card, NamedFeatures.of(table)) == [("mod", told)]
    assert [name for name, _ in cluster_chips(card, NamedFeatures.of(None))] == ["#7", "#9"]


def test_a_run_without_names_or_weights_still_has_its_page(full):
    unnamed = replace(full, feature_names=None)
    page = read(render_report(unnamed))
    assert page.errors == []
    assert "This run has no names of latents." in page.texts["probes"]
    assert "strongest latents:" in page.texts["clusters"]
    assert "fires on:" not in page.texts["clusters"]
    bare = replace(
        full,
        difficulty_report=full.difficulty_report.model_copy(update={"weights": ()}),
        quality_report=full.quality_report.model_copy(update={"weights": ()}),
    )
    (missing,) = what_makes_a_prompt(bare)
    assert isinstance(missing, Missing)
    half = what_makes_a_prompt(replace(bare, quality_report=full.quality_report))
    assert [type(block) for block in half] == [Text, Missing, Missing, Table, Table]
