"""Labels in shards are labels, to the last bit; every shard is sampled with the numbers of its prompts."""

import pandas as pd
import pytest

from saerl_core.config.run import GradingConfig, PassRatesConfig
from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.rollouts import sampler as sampling
from saerl_core.rollouts.label_shards import merge_labels, shard_of
from saerl_core.rollouts.measure import measure_pass_rates, try_out
from saerl_core.rollouts.sampler import Sampler
from saerl_core.shards import Shard, load_shard, save_shard

EXACT = GradingConfig(kind="exact")
SIZES = PassRatesConfig(n_labelled=21, n_rollouts=4, max_completion_tokens=6)


@pytest.fixture
def batches(monkeypatch):
    """Batches of three prompts, so that 21 prompts make seven."""
    monkeypatch.setattr(sampling, "MAX_ROWS", 12)


@pytest.fixture(scope="module")
def prompts():
    words = "abcdef"
    texts = [" ".join(words[(i * j) % 6] for j in range(1, 2 + i % 9)) for i in range(40)]
    texts[7] = texts[3]  # two rows of one text: each has a stream of its own
    ids = [f"p{i * 7 % 40:02}" for i in range(40)]
    return pd.DataFrame({"prompt_id": ids, "prompt": texts, "answer": ["a", "b"] * 20, "usable": True})


def clusters_of(prompts):
    return prompts[["prompt_id"]].assign(cluster_id=0)


def labelled(prompts, policy, sizes, grading, shard):
    return shard_of(try_out(prompts, clusters_of(prompts), policy, sizes, grading, 3, shard=shard), sizes, shard)


def in_shards(prompts, policy, grading, n, folder, sizes=SIZES):
    parts = []
    for i in range(1, n + 1):
        save_shard(labelled(prompts, policy, sizes, grading, Shard(i, n)), folder / str(i))
        parts.insert(0, load_shard(folder / str(i)))
    return merge_labels(parts, sizes, grading)


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize(("kind", "n_new"), [("qwen2", 6), ("gpt2", 1)])
def test_shards_make_what_one_pass_makes_to_the_last_bit(tiny_policy, prompts, tmp_path, n, kind, n_new):
    policy, sizes = tiny_policy(kind), SIZES.model_copy(update={"max_completion_tokens": n_new})
    table, report = measure_pass_rates(prompts, clusters_of(prompts), policy, sizes, EXACT, 3)
    merged, merged_report = in_shards(prompts, policy, EXACT, n, tmp_path, sizes)
    pd.testing.assert_frame_equal(merged, table, check_exact=True)
    assert merged_report.notes[0] == f"Measured in {n} shards; the seconds are those of all of them together."
    assert merged_report.model_copy(update={"notes": merged_report.notes[1:]}) == report
    varied = table["mean_completion_tokens" if n_new > 1 else "pass_rate"]
    assert varied.nunique() > 2, "there is something to get wrong"


@pytest.mark.usefixtures("batches")
def test_a_shard_answers_its_own_prompts_as_the_whole_does(tiny_policy, prompts):
    given = {"temperature": 1.0, "max_completion_tokens": 6, "seed": 5}
    texts = list(prompts["prompt"])
    whole = Sampler(tiny_policy(), **given).sample(texts, 4)
    parts = [Sampler(tiny_policy(), **given, shard=Shard(i, 3)).sample(texts, 4) for i in (1, 2, 3)]
    for i, group in enumerate(whole):
        assert sorted((part[i] for part in parts), key=len) == [[], [], group]


def test_shards_without_a_batch_are_told(tiny_policy, prompts, tmp_path):
    _, report = in_shards(prompts, tiny_policy(), EXACT, 2, tmp_path)
    assert report.notes[1] == "1 of 2 shards had nothing to do: a batch of completions is not divided."


@pytest.mark.usefixtures("batches")
def test_rewards_and_failures_of_a_function_of_ones_own(tiny_policy, prompts, tmp_path, monkeypatch):
    body = "def grade(completion, answer):\n    return len(completion) / 99 if answer == 'a' else {}[completion]\n"
    (tmp_path / "own_shards.py").write_text(body)
    monkeypatch.chdir(tmp_path)
    own = GradingConfig(kind="python", function="own_shards:grade", correct_from=0.05)
    some = prompts.assign(answer=["a", "a", "b", "a"] * 10)
    table, report = measure_pass_rates(some, clusters_of(some), tiny_policy(), SIZES, own, 3)
    merged, merged_report = in_shards(some, tiny_policy(), own, 2, tmp_path)
    pd.testing.assert_frame_equal(merged, table, check_exact=True)
    assert merged_report.values == report.values
    assert merged_report.notes[1:] == report.notes
    assert any("the first failure: " in note for note in report.notes)
    with pytest.raises(BackendError, match="more than half"):
        in_shards(some.assign(answer="b"), tiny_policy(), own, 2, tmp_path)


def test_what_cannot_be_divided_is_refused(tiny_policy, prompts, tmp_path):
    with pytest.raises(ConfigError, match=r"^shards\.pass_rates is 22, but pass rates are measured of 21 prompts; set"):
        labelled(prompts, tiny_policy(), SIZES, EXACT, Shard(1, 22))
    part = labelled(prompts, tiny_policy(), SIZES, EXACT, Shard(1, 2))
    with pytest.raises(DataError, match="not the parts of one pool"):
        merge_labels([part], SIZES, EXACT)
