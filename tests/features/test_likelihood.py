import numpy as np
import pytest

from saerl_core.config.run import FeaturesConfig, GradingConfig
from saerl_core.errors import DataError
from saerl_core.features.likelihood import policy_likelihood
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
