import shutil

import numpy as np
import pandas as pd
import pytest

from saerl_core.errors import DataError
from saerl_core.features.activations import stream_activations
from saerl_core.features.models import load_lower_model
from saerl_core.features.tokens import tokenize_prompts
from saerl_core.policy.loading import load_tokenizer
from saerl_core.records import PolicyRef
from tests.features.conftest import full_hidden


def run(policy: PolicyRef, texts: list[str], layer: int = 1):
    frame = pd.DataFrame({"prompt_id": [f"p{i}" for i in range(len(texts))], "prompt": texts})
    tokens = tokenize_prompts(frame, load_tokenizer(policy), 64)
    (batch,) = stream_activations(load_lower_model(policy, layer), tokens, [np.arange(len(texts))])
    return tokens, batch


def edit_embeddings(policy: PolicyRef, folder, edit) -> PolicyRef:
    """Copy the model with changed embeddings and zeroed blocks, so that the residual stream is the embedding."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(policy.path)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        edit(model.get_input_embeddings().weight)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(policy.path).save_pretrained(folder)
    return PolicyRef(str(folder), folder.name)


def test_padding_and_bos_leave_no_trace(policy):
    texts = ["a", "abcdefgh0123", "a+b="]
    tokens, batch = run(policy, texts)
    assert batch.row_of_token.tolist() == [0] * 1 + [1] * 12 + [2] * 4
    for i in range(3):
        reference = full_hidden(policy, tokens.ids[i].tolist(), 1)[1:]
        np.testing.assert_allclose(batch.hidden[batch.row_of_token == i], reference, atol=1e-5)
    assert (batch.n_prefill_tokens, batch.n_dropped) == (20, 3)


def test_position_zero_stays_where_the_tokenizer_adds_nothing(policy_without_bos):
    tokens, batch = run(policy_without_bos, ["abc", "a"])
    assert batch.row_of_token.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(batch.hidden[:3], full_hidden(policy_without_bos, tokens.ids[0].tolist(), 1), atol=1e-5)


def test_attention_sinks_are_dropped(policy_without_bos, tmp_path):
    def edit(weight):
        weight[:] = 1.0
        weight[4] = 11.0  # 'a': above 10 medians
        weight[5] = 9.0  # 'b': below

    sinks = edit_embeddings(policy_without_bos, tmp_path / "sinks", edit)
    _, batch = run(sinks, ["acd", "bcd", "cad", "a"])
    assert batch.row_of_token.tolist() == [0, 0, 1, 1, 1, 2, 2, 3]
    assert batch.n_dropped == 2  # a prompt of one token is its own median


def test_activations_that_are_not_finite_name_the_prompt(policy, tmp_path):
    def edit(weight):
        weight[13] = np.nan  # 'j'

    broken = edit_embeddings(policy, tmp_path / "nan", edit)
    run(broken, ["abc"])
    with pytest.raises(DataError, match=r"prompt 'p1' are NaN or infinite"):
        run(broken, ["abc", "aj", "j"])
    shutil.rmtree(broken.path)
