import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.errors import DataError
from saerl_core.features.tokens import length_batches, tokenize_prompts
from saerl_core.policy.loading import load_tokenizer
from saerl_core.policy.prompt_format import added_prefix


def frame(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"prompt_id": [f"p{i}" for i in range(len(texts))], "prompt": list(texts)})


def test_the_prefix_is_what_the_tokenizer_really_adds(policy, policy_without_bos):
    assert added_prefix(load_tokenizer(policy)) == [1]
    assert added_prefix(load_tokenizer(policy_without_bos)) == []  # although it names a BOS token


def test_long_prompts_lose_their_end_and_are_counted(policy):
    tokens = tokenize_prompts(frame("abcdef", "abc", ""), load_tokenizer(policy), max_prompt_tokens=4)
    assert [x.tolist() for x in tokens.ids] == [[1, 4, 5, 6], [1, 4, 5, 6], [1]]
    assert tokens.n_truncated == 1
    assert tokens.run_lengths.tolist() == [4, 4, 0]


def test_an_empty_pool_is_refused(policy):
    with pytest.raises(DataError, match="0 prompts"):
        tokenize_prompts(frame(), load_tokenizer(policy), 8)


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 64))
def test_batches_hold_every_prompt_once_and_stay_within_the_bound(lengths, bound):
    lengths = np.array(lengths, dtype=np.int64)
    batches = length_batches(lengths, bound)
    rows = [int(i) for batch in batches for i in batch]
    assert sorted(rows) == np.flatnonzero(lengths).tolist()
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= bound


def test_batches_hold_prompts_of_similar_length():
    batches = length_batches(np.array([1, 9, 2, 10]), 20)
    assert [b.tolist() for b in batches] == [[3, 1], [2, 0]]
