import numpy as np
import pytest

from saerl_core.config.run import FeaturesConfig, GradingConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.features.likelihood import likelihood_shard, merge_likelihoods, policy_likelihood
from saerl_core.shards import Shard, ShardResult, load_shard, save_shard
from saerl_core.tables import LIKELIHOOD
from tests.features.conftest import make_pool, save_model

GRADING = GradingConfig(kind="exact")
COLUMNS = ["prompt_nll_mean", "prompt_nll_max", "answer_nll_mean", "answer_nll_max"]


@pytest.fixture
def pool():
    pool = make_pool(7)
    return pool.assign(answer=["1", "22", "a+b", "0", "7", "99", "c"])


def by_hand(policy, prompt, answer):
    """The same numbers from one unpadded pass and log-softmax."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(policy.path)
    model = AutoModelForCausalLM.from_pretrained(policy.path).eval()
    first = tokenizer(prompt)["input_ids"]
    ids = torch.tensor([first + tokenizer(answer, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        logs = model(ids).logits[0].log_softmax(-1)
    losses = [-logs[t, ids[0, t + 1]].item() for t in range(ids.shape[1] - 1)]
    prompt_part, answer_part = losses[: len(first) - 1], losses[len(first) - 1 :]
    return [np.mean(prompt_part), max(prompt_part), np.mean(answer_part), max(answer_part)]


@pytest.mark.parametrize("batch_tokens", [10_000, 30])
def test_values_are_those_of_one_unpadded_pass(policy, pool, batch_tokens):
    table = policy_likelihood(pool, policy, GRADING, FeaturesConfig(batch_tokens=batch_tokens, device="cpu")).table
    assert list(table["prompt_id"]) == list(pool["prompt_id"])
    for i, row in enumerate(table[COLUMNS].to_numpy()):
        assert row == pytest.approx(by_hand(policy, pool["prompt"][i], pool["answer"][i]), abs=1e-4)


def test_the_answer_is_written_as_the_grader_wants_it(policy, pool):
    plain = policy_likelihood(pool, policy, GRADING, FeaturesConfig(batch_tokens=999, device="cpu")).table
    marked = policy_likelihood(
        pool.assign(answer="#" + pool["answer"]), policy, GRADING, FeaturesConfig(batch_tokens=999)
    ).table
    world = policy_likelihood(pool, policy, GradingConfig(kind="task_world"), FeaturesConfig(batch_tokens=999)).table
    assert world[COLUMNS].to_numpy() == pytest.approx(marked[COLUMNS].to_numpy(), abs=1e-5)
    assert world["prompt_nll_mean"].to_numpy() == pytest.approx(plain["prompt_nll_mean"].to_numpy(), abs=1e-5)
    assert not np.allclose(world["answer_nll_mean"], plain["answer_nll_mean"])


def test_a_prompt_of_one_token_has_no_surprise_of_its_own(tmp_path, pool):
    policy = save_model(tmp_path / "no_bos", bos=False)
    one = pool.head(1).assign(prompt="a")
    row = policy_likelihood(one, policy, GRADING, FeaturesConfig(batch_tokens=99)).table.iloc[0]
    assert row["prompt_nll_mean"] == row["prompt_nll_max"] == 0.0
    assert row["answer_nll_mean"] > 0


def test_cost_and_form_of_the_table(policy, pool):
    result = policy_likelihood(pool, policy, GRADING, FeaturesConfig(batch_tokens=99))
    LIKELIHOOD.check(result.table)
    assert result.n_prefill_tokens == sum(len(p) + 1 + len(a) for p, a in zip(pool["prompt"], pool["answer"]))  # noqa: B905


def test_an_empty_pool_is_refused(policy, pool):
    with pytest.raises(DataError, match="0 prompts"):
        policy_likelihood(pool.head(0), policy, GRADING, FeaturesConfig(batch_tokens=99))


CPU = FeaturesConfig(batch_tokens=64, device="cpu")


@pytest.fixture
def mixed():
    """Prompts of many lengths, so that a batch mixes neighbours in length that are far apart in the pool."""
    pool = make_pool(90)
    prompts = [prompt * (1 + i % 4) for i, prompt in enumerate(pool["prompt"])]
    return pool.assign(prompt=prompts, answer=[str(i) * (1 + i % 3) for i in range(90)])


def in_shards(pool, policy, n, folder, config=CPU):
    for i in range(1, n + 1):
        save_shard(likelihood_shard(pool, policy, GRADING, config, Shard(i, n)), folder / str(i))
    return [load_shard(folder / str(i)) for i in reversed(range(1, n + 1))]


@pytest.mark.parametrize("n", [2, 3, 5, 7])
def test_shards_make_what_one_pass_makes_to_the_last_bit(policy, mixed, tmp_path, n):
    whole = policy_likelihood(mixed, policy, GRADING, CPU)
    parts = in_shards(mixed, policy, n, tmp_path)
    assert all(len(part.arrays["values"]) for part in parts), "every shard has a share"
    merged = merge_likelihoods(mixed, parts)
    assert merged.table.equals(whole.table)
    assert merged.n_prefill_tokens == whole.n_prefill_tokens
    assert merged.notes == (f"Read in {n} shards; the seconds are those of all of them together.", *whole.notes)


def test_shards_of_prompts_instead_of_batches_are_not_the_same(policy, mixed):
    """Which is why a shard takes batches: the test above could not fail otherwise."""
    whole = policy_likelihood(mixed, policy, GRADING, CPU).table
    halves = [policy_likelihood(mixed[part], policy, GRADING, CPU).table for part in (slice(45), slice(45, None))]
    apart = np.concatenate([half[COLUMNS].to_numpy() for half in halves])
    assert apart == pytest.approx(whole[COLUMNS].to_numpy(), abs=1e-4)
    assert (apart != whole[COLUMNS].to_numpy()).any()


def test_shards_without_a_batch_are_told(policy, pool, tmp_path):
    merged = merge_likelihoods(pool, in_shards(pool, policy, 3, tmp_path, FeaturesConfig(device="cpu")))
    assert merged.table.equals(policy_likelihood(pool, policy, GRADING, FeaturesConfig(device="cpu")).table)
    assert merged.notes[1] == (
        "2 of 3 shards had nothing to do: the pool makes only 1 batches, and a batch is not divided."
    )


def test_texts_without_a_token_belong_to_the_first_shard(tmp_path, pool):
    policy = save_model(tmp_path / "no_bos", bos=False)
    some = pool.assign(prompt=["", *pool["prompt"][1:]], answer=["", *pool["answer"][1:]])
    small = FeaturesConfig(batch_tokens=20, device="cpu")
    merged = merge_likelihoods(some, in_shards(some, policy, 2, tmp_path / "parts", small))
    assert (merged.table.iloc[0][COLUMNS] == 0).all()
    assert merged.table.equals(policy_likelihood(some, policy, GRADING, small).table)


def test_more_shards_than_prompts_are_refused(policy, pool):
    with pytest.raises(
        ConfigError, match=r"^shards\.likelihoods is 8, but the pool has 7 prompts; set it to at most 7$"
    ):
        likelihood_shard(pool, policy, GRADING, CPU, Shard(1, 8))


def test_shards_that_do_not_make_the_pool_are_refused(policy, mixed, tmp_path):
    two, one = in_shards(mixed, policy, 2, tmp_path)
    for wrong in ([one], [one, one]):
        with pytest.raises(DataError, match="not the parts of one pool"):
            merge_likelihoods(mixed, wrong)
    with pytest.raises(DataError, match="2 shards of likelihoods hold 90 prompts, which are not the 80 of the pool"):
        merge_likelihoods(mixed[:80], [one, two])
    with pytest.raises(DataError, match="it is damaged; repeat it"):
        merge_likelihoods(mixed, [one, ShardResult("", Shard(), {}, damage="it is damaged; repeat it")])
