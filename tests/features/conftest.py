"""A tiny random model with and without BOS, a pool of short prompts, and one SAE trained on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import FeaturesConfig, SaeConfig
from saerl_core.records import PolicyRef, SaeRef, SaeReport

CHARACTERS = "abcdefghij0123456789+-="
SMALL_SAE = SaeConfig(expansion=2, k=4, train_tokens=6000, batch_size=64, hook_layer=1)


def save_model(folder: Path, *, bos: bool = True, width: int = 32, n_layers: int = 3, seed: int = 0) -> PolicyRef:
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    vocab = {token: i for i, token in enumerate(["<pad>", "<bos>", "<eos>", "<unk>", *CHARACTERS])}
    backend = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", 1)]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=len(vocab),
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=n_layers,
                num_attention_heads=4,
                num_key_value_heads=4,
                max_position_embeddings=128,
                initializer_range=0.15,
            )
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return PolicyRef(path=str(folder), policy_id=folder.name)


def make_pool(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list(CHARACTERS), size=rng.integers(1, 25))) for _ in range(n)]
    return pd.DataFrame({"prompt_id": [f"p{i:04d}" for i in range(n)], "prompt": texts})


@pytest.fixture(scope="session")
def policy(tmp_path_factory) -> PolicyRef:
    return save_model(tmp_path_factory.mktemp("models") / "with_bos")


@pytest.fixture(scope="session")
def policy_without_bos(tmp_path_factory) -> PolicyRef:
    return save_model(tmp_path_factory.mktemp("models") / "without_bos", bos=False)


@pytest.fixture(scope="session")
def pool() -> pd.DataFrame:
    return make_pool(120)


@pytest.fixture(scope="session")
def trained(policy, pool, tmp_path_factory) -> tuple[SaeRef, SaeReport]:
    from saerl_core.features.sae import obtain_sae

    out = tmp_path_factory.mktemp("sae") / "trained"
    return obtain_sae(SMALL_SAE, FeaturesConfig(device="cpu"), policy, pool, out, seed=0)


@pytest.fixture(scope="session")
def sae(trained) -> SaeRef:
    return trained[0]


def full_hidden(policy: PolicyRef, ids: list[int], layer: int):
    """The residual stream after a block of the whole model, taken by a hook: the reference for everything here."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(policy.path).eval()
    seen = []
    model.model.layers[layer].register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.inference_mode():
        model(torch.tensor([ids]))
    output = seen[0]
    return (output[0] if isinstance(output, tuple) else output).reshape(len(ids), -1)
