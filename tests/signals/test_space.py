"""Signals from what critics would put in the SAE's place."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from saerl_core.config.run import ClustersConfig, DifficultyConfig
from saerl_core.records import ControlFeatures
from saerl_core.signals.clusters import cluster_prompts
from saerl_core.signals.difficulty import calibrate_difficulty
from saerl_core.signals.spaces import dealt
from tests.signals.factory import features, pool

N = 120
IDS = [f"p{i:03}" for i in range(N)]
KIND = np.arange(N) % 2  # what only the dense activations know
rng = np.random.default_rng(0)
PROMPTS = pool(N).assign(prompt_id=IDS, known_pass_rate=np.where(KIND, 0.9, 0.1))
FEATURES = features(IDS, rng.random((N, 8)))
CONTROLS = ControlFeatures(
    tuple(IDS),
    np.eye(2)[KIND].astype(np.float32) * 5 + rng.normal(0, 0.1, (N, 2)).astype(np.float32),
    csr_matrix(rng.random((N, 8)).astype(np.float32)),
)


def clusters(space):
    return cluster_prompts(PROMPTS, FEATURES, ClustersConfig(n_clusters=2), 0, CONTROLS, space)


def purity(table):
    ids = table["cluster_id"].to_numpy()
    return max(np.mean(ids == KIND), np.mean(ids != KIND))


def test_clusters_come_from_the_chosen_space():
    assert purity(clusters("dense")[0]) == 1.0
    assert purity(clusters("sae")[0]) < 0.8
    assert any("signals.space is 'dense'" in note for note in clusters("dense")[1].notes)
    assert not any("signals.space" in note for note in clusters("sae")[1].notes)


@pytest.mark.parametrize("space", ["surface", "random_sae", "random"])
def test_every_space_gives_a_cluster_to_every_prompt(space):
    assert set(clusters(space)[0]["prompt_id"]) == set(IDS)


def test_random_keeps_the_sizes_and_nothing_else():
    own, dealt_out = clusters("sae")[0], clusters("random")[0]
    assert sorted(own["cluster_id"]) == sorted(dealt_out["cluster_id"])
    assert (own["cluster_id"] != dealt_out["cluster_id"]).mean() > 0.2


def test_the_row_order_does_not_matter_to_a_deal():
    table = pd.DataFrame({"prompt_id": IDS, "value": np.arange(N)})
    one = dealt(table, "random", 0, "x").set_index("prompt_id")
    other = dealt(table.iloc[::-1], "random", 0, "x").set_index("prompt_id")
    assert one["value"].equals(other.loc[one.index, "value"])


@pytest.mark.parametrize(("space", "least", "most"), [("dense", 0.95, 1.0), ("random", -0.5, 0.5)])
def test_difficulty_comes_from_the_chosen_space(space, least, most):
    config = DifficultyConfig(label="known_pass_rate", n_labelled=60)
    table, report = calibrate_difficulty(PROMPTS, FEATURES, CONTROLS, clusters("sae")[0], None, config, 0, space=space)
    found = np.corrcoef(table["predicted"], 1 - PROMPTS["known_pass_rate"])[0, 1]
    assert least <= found <= most
    assert table["is_labelled"].any() == (space != "random")
    assert any("signals.space" in note for note in report.notes)
