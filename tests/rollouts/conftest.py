"""Tiny random models with peaked predictions, saved as Hugging Face folders."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from saerl_core.records import PolicyRef

if TYPE_CHECKING:
    from transformers import PretrainedConfig

WORDS = ("<pad>", "<eos>", "a", "b", "c", "d", "e", "f")


def tiny_config(kind: str, vocab_size: int) -> "PretrainedConfig":
    """Two blocks; a wide initialisation, so that the next token is neither certain nor uniform."""
    from transformers import GPT2Config, Qwen2Config

    if kind == "gpt2":  # absolute positions: a wrong position id shows at once
        return GPT2Config(
            vocab_size=vocab_size,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=64,
            initializer_range=0.3,
            bos_token_id=None,
            eos_token_id=1,
            pad_token_id=0,
        )
    return Qwen2Config(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], PolicyRef]:
    """Make a policy of eight words, "<pad> <eos> a b c d e f"; texts are split at spaces and there is no BOS."""
    made: dict[str, PolicyRef] = {}

    def make(kind: str = "qwen2") -> PolicyRef:
        if kind not in made:
            made[kind] = _save(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return make


def _save(kind: str, folder: Path) -> PolicyRef:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config(kind, len(WORDS))).save_pretrained(folder)
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="f"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>").save_pretrained(folder)
    return PolicyRef(str(folder), kind)
