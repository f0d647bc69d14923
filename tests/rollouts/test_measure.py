from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.config.run import GradingConfig, PassRatesConfig
from saerl_core.errors import BackendError, DataError
from saerl_core.records import PolicyRef
from saerl_core.rollouts import engines
from saerl_core.rollouts.completions import Completion
from saerl_core.rollouts.measure import _cut_short, _one_sided, _shares, choose_labelled, measure_pass_rates
from saerl_core.rollouts.sampler import Sampler
from saerl_core.tables import PASS_RATES

POLICY = PolicyRef("nowhere", "nobody")
RIGHT, WRONG = r"\boxed{7}#7", r"\boxed{#8"  # for both kinds of grading, and settled without a process
BOXED = GradingConfig(kind="math")


def pool(answers: list[str], clusters: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    ids = [f"p{i:03}" for i in range(len(answers))]
    prompts = pd.DataFrame({"prompt_id": ids, "prompt": ids, "answer": answers, "usable": True})
    return prompts, pd.DataFrame({"prompt_id": ids, "cluster_id": clusters, "centroid_distance": 0.0})


@pytest.mark.parametrize(
    ("sizes", "n", "shares"),
    [
        ([50, 30, 20], 10, [5, 3, 2]),
        ([98, 1, 1], 10, [8, 1, 1]),  # at least one each
        ([5, 3, 2], 4, [2, 1, 1]),
        ([6, 3, 1], 2, [1, 1, 0]),  # fewer labels than clusters: the largest
        ([1, 9], 1, [0, 1]),
        ([2, 2], 9, [2, 2]),
        ([3, 3, 3], 5, [2, 2, 1]),
    ],
)
def test_shares_by_hand(sizes: list[int], n: int, shares: list[int]) -> None:
    assert _shares(sizes, n) == shares


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 300))
def test_shares_fit(sizes: list[int], n: int) -> None:
    shares = _shares(sizes, n)
    assert sum(shares) == min(n, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    if n >= len(sizes):
        assert min(shares) >= 1
    ordered = [shares[i] for i in np.argsort(sizes, kind="stable")]
    assert all(a <= b + 1 for a, b in pairwise(ordered)), "a larger cluster gets no less"


def test_labels_are_spread_over_clusters_and_over_usable_prompts_only() -> None:
    prompts, clusters = pool(["1"] * 100, [0] * 60 + [1] * 30 + [2] * 10)
    prompts.loc[:19, "usable"] = False  # leaves 40, 30, 10
    chosen = choose_labelled(prompts, clusters, 16, seed=0)
    cluster_of = dict(zip(clusters["prompt_id"], clusters["cluster_id"], strict=True))
    assert Counter(cluster_of[p] for p in chosen) == {0: 8, 1: 6, 2: 2}
    assert min(chosen) >= "p020"
    assert len(set(chosen)) == 16


def test_labels_do_not_depend_on_the_row_order_but_on_the_seed() -> None:
    prompts, clusters = pool(["1"] * 60, [i % 4 for i in range(60)])
    chosen = choose_labelled(prompts, clusters, 12, seed=1)
    shuffled = choose_labelled(prompts.sample(frac=1, random_state=0), clusters.sample(frac=1, random_state=1), 12, 1)
    assert shuffled == chosen
    assert choose_labelled(prompts, clusters, 12, seed=2) != chosen


def test_bad_pools_are_refused() -> None:
    prompts, clusters = pool(["1"] * 3, [0, 0, 1])
    with pytest.raises(DataError, match="prompt p002 has no cluster"):
        choose_labelled(prompts, clusters[:2], 2, seed=0)
    with pytest.raises(DataError, match="none of the 3 prompts is usable"):
        choose_labelled(prompts.assign(usable=False), clusters, 2, seed=0)
    with pytest.raises(DataError, match="none of the 0 prompts is usable"):
        choose_labelled(prompts[:0], clusters, 2, seed=0)


class ScriptedSampler(Sampler):
    """Answers prompt i with i right answers out of n; every third completion is cut off."""

    def __init__(self, policy: PolicyRef, **settings: object) -> None:
        self.settings = settings
        self.n_generated_tokens, self.n_prefill_tokens = 70, 7

    def sample(self, prompts: list[str], n: int, *, desc: str) -> list[list[Completion]]:
        right = [int(p[1:]) for p in prompts]
        return [[Completion(RIGHT if j < r else WRONG, j + 1, j % 3 == 0) for j in range(n)] for r in right]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "Sampler", ScriptedSampler)


@pytest.mark.usefixtures("scripted")
def test_pass_rates_of_a_function_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward counts from `correct_from` on; the mean reward is told beside it, and failures count neither way."""
    body = "def grade(completion, answer):\n    return 0.6 if '7' in completion else {'1': 0.4, '2': None}[answer]\n"
    (tmp_path / "own.py").write_text(body)
    monkeypatch.chdir(tmp_path)
    prompts, clusters = pool(["1", "1", "1", "2"], [0] * 4)
    sizes, own = PassRatesConfig(n_labelled=4, n_rollouts=4), GradingConfig(kind="python", function="own:grade")
    table, report = measure_pass_rates(prompts, clusters, POLICY, sizes, own, 0)
    assert table["pass_rate"].tolist() == [0.0, 0.25, 0.5, 1.0]
    assert table["n_rollouts"].tolist() == [4, 4, 4, 3]
    assert report.values["mean_reward"] == pytest.approx((3 * 0.6 + 9 * 0.4 + 3 * 0.6) / 16)
    [note] = [note for note in report.notes if "could not be graded" in note]
    assert note.startswith(
        "1 of 16 completions could not be graded: 1 x function failed; the first failure: it returned"
    )
    prompts["answer"] = "2"
    with pytest.raises(BackendError, match=r"'own:grade' failed on 10 of 16 completions, more than half"):
        measure_pass_rates(prompts, clusters, POLICY, sizes, own, 0)
    strict = own.model_copy(update={"correct_from": 0.7})
    prompts["answer"] = "1"
    assert set(measure_pass_rates(prompts, clusters, POLICY, sizes, strict, 0)[0]["pass_rate"]) == {0.0}


@pytest.mark.usefixtures("scripted")
def test_pass_rates_by_hand() -> None:
    prompts, clusters = pool(["7"] * 5, [0] * 5)
    table, report = measure_pass_rates(
        prompts, clusters, POLICY, PassRatesConfig(n_labelled=5, n_rollouts=4), GradingConfig(), 0
    )
    pd.testing.assert_frame_equal(table, PASS_RATES.check(table))
    assert table["prompt_id"].tolist() == ["p000", "p001", "p002", "p003", "p004"]
    assert table["pass_rate"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert table["n_correct"].tolist() == [0, 1, 2, 3, 4]
    assert set(table["mean_completion_tokens"]) == {2.5}
    assert set(table["truncated_frac"]) == {0.5}
    assert report.values["mean_pass_rate"] == 0.5
    assert report.values["zero_variance_frac"] == 2 / 5
    assert report.values["unknown_frac"] == 0.0
    assert (report.n_rollouts, report.n_generated_tokens, report.n_prefill_tokens) == (20, 70, 7)
    (note,) = report.notes
    assert note.startswith("50% of the completions were cut at ")


@pytest.mark.usefixtures("scripted")
def test_a_prompt_whose_verdicts_are_all_unknown_gets_no_label() -> None:
    prompts, clusters = pool(["7", "7", "7", " "], [0] * 4)
    config = PassRatesConfig(n_labelled=9, n_rollouts=2)
    prompts["prompt"] = ["p1", "p2", "p1", "p2"]
    table, report = measure_pass_rates(prompts, clusters, POLICY, config, BOXED, 0)
    assert table["prompt_id"].tolist() == ["p000", "p001", "p002"]
    assert report.values["n_labelled"] == 3
    assert report.values["n_not_labelled"] == 1
    assert report.values["unknown_frac"] == 2 / 8
    assert report.n_rollouts == 8, "rollouts that labelled nothing have been paid for"
    assert report.notes[0] == "9 labels were asked for; the pool has only 4 usable prompts"
    assert report.notes[1] == "1 prompts got no label: none of their completions could be graded"
    assert "2 of 8 completions could not be graded: 2 x gold not readable" in report.notes[2]
    with pytest.raises(DataError, match="none of the 8 completions could be graded"):
        measure_pass_rates(prompts.assign(answer=" "), clusters, POLICY, config, BOXED, 0)


def test_a_policy_that_is_cut_short_is_told() -> None:
    (note,) = _cut_short(0.25, 24)
    assert note.startswith("25% of the completions were cut at pass_rates.max_completion_tokens = 24")
    assert list(_cut_short(0.2, 24)) == []


def test_labels_that_tell_nothing_apart_are_told() -> None:
    (note,) = _one_sided(np.array([1.0] + [0.0] * 19))
    assert note.startswith("100% of the labelled prompts were answered always right (5%) or always wrong (95%)")
    assert list(_one_sided(np.array([0.5, 0.0, 1.0, 1.0]))) == []
