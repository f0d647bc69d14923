"""Real vLLM on a CPU beside our own sampler; needs `make vllm-env`, and is skipped without it."""

import os
from pathlib import Path

import numpy as np
import pytest

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.policy.storage import policy_id_of, save_policy
from saerl_core.records import PolicyRef, PromptFormat
from saerl_core.rollouts.sampler import Sampler
from saerl_core.rollouts.vllm_sampler import Decoding, VllmSampler
from tests.training.world import tiny_tokenizer

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("SAERL_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.is_file(), reason="no .venv-vllm: make vllm-env creates it"),
]
CONFIG = RolloutsConfig(engine="vllm", python=str(PYTHON), dtype="float32")
MAX_TOKENS = 6
SMOLLM = ROOT / ".saerl" / "models" / "smollm2-135m"
NEARLY_EQUAL = 0.05  # of two logits, in float32 on both sides: rounding, far below what another weight would make


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A random policy with heads of 64: vLLM's attention on a CPU refuses small ones."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=6,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(config)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.08)
    return save_policy(model, tiny_tokenizer(), tmp_path_factory.mktemp("wide") / "policy")


def texts(n):
    """Different prompts of the letters a and b."""
    return [f"{i:b}".replace("1", "a").replace("0", "b") for i in range(2, n + 2)]


def test_greedy_tokens_are_those_of_our_own_sampler(policy, tmp_path):
    prompts = texts(60)
    vllm = VllmSampler(policy, Decoding(0.0, 1.0, MAX_TOKENS, 0), CONFIG, tmp_path)
    own = Sampler(policy, temperature=0.0, max_completion_tokens=MAX_TOKENS, seed=0)
    assert vllm.sample(prompts, 1) == own.sample(prompts, 1)
    assert (vllm.n_prefill_tokens, vllm.n_generated_tokens) == (own.n_prefill_tokens, own.n_generated_tokens)


def test_sampled_frequencies_agree(policy, tmp_path):
    """How often a completion begins with "a", prompt by prompt: two samples of 64 from one distribution."""
    prompts, n = texts(300), 64
    vllm = VllmSampler(policy, Decoding(1.0, 1.0, 2, 0), CONFIG, tmp_path)
    own = Sampler(policy, temperature=1.0, max_completion_tokens=2, seed=0)
    one, two = (
        np.array([np.mean([c.text.startswith("a") for c in group]) for group in s.sample(prompts, n)])
        for s in (vllm, own)
    )
    mean = (one + two) / 2
    z = (one - two) / np.sqrt(np.maximum(mean * (1 - mean), 1 / n) * 2 / n)
    assert abs(z.mean()) < 4 / np.sqrt(len(prompts)), "no bias over the prompts"
    assert 0.7 < (z**2).mean() < 1.3, "and no more spread than chance"


@pytest.mark.skipif(not SMOLLM.is_dir(), reason="there is no SmolLM2 here; `make smollm` fetches it")
def test_a_real_model_answers_alike_until_two_tokens_are_equally_likely(tmp_path):
    """Greedy answers of SmolLM2: where the two first differ, our model finds both tokens nearly equally likely."""
    import torch

    from saerl_core.policy.loading import load_model, load_tokenizer
    from saerl_core.policy.prompt_format import prompt_tokens

    policy = PolicyRef(str(SMOLLM), policy_id_of(SMOLLM), prompt_format=PromptFormat(chat_template=True))
    prompts = [f"Ada has {n} shells and finds {n + 3} more. How many shells has she now?" for n in (4, 11, 26, 58, 90)]
    engines = (
        VllmSampler(policy, Decoding(0.0, 1.0, 16, 0), CONFIG, tmp_path),
        Sampler(policy, temperature=0.0, max_completion_tokens=16, seed=0, device="cpu"),
    )
    theirs, ours = ([group[0].text for group in engine.sample(prompts, 1)] for engine in engines)
    tokenizer, model = load_tokenizer(policy), load_model(policy)
    for read, one, other in zip(prompt_tokens(tokenizer, prompts, policy.prompt_format), theirs, ours, strict=True):
        a, b = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (one, other))
        same = next((i for i, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), None)
        if same is None:
            assert one == other
            continue
        with torch.inference_mode():
            logits = model(torch.tensor([[*read, *b[:same]]])).logits[0, -1]
        assert abs(float(logits[a[same]] - logits[b[same]])) < NEARLY_EQUAL, (one, other)
