"""Sampling of training rollouts: right distribution, right ends, right log-probabilities."""

import math
from collections import Counter

import pytest
import torch

from saerl_core.policy.loading import load_model
from saerl_core.training.embedded.decoding import sample_rollouts

EOS = 2
PROMPTS = [[1, 4], [1, 4, 5, 5, 4, 5], [1, 5, 5]]


@pytest.fixture(scope="module")
def model(policy):
    return load_model(policy)


def sample(model, n=6, *, temperature=1.0, max_tokens=8, seed=0, prompts=None):
    generator = torch.Generator().manual_seed(seed)
    prompts = PROMPTS if prompts is None else prompts
    options = {"temperature": temperature, "max_tokens": max_tokens, "stop": frozenset({EOS}), "generator": generator}
    return sample_rollouts(model, prompts, n, **options)


def by_hand(model, prompt, completion, temperature):
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
    scores = (logits / temperature).log_softmax(-1)
    return scores.gather(1, torch.tensor(completion)[:, None])[:, 0], -(scores.exp() * scores).sum(-1)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_log_probabilities_and_entropy_are_those_of_an_unpadded_pass(model, temperature):
    out = sample(model, 30, temperature=temperature)
    lengths = [len(c) for c in out.completion_ids]
    assert min(lengths) < 3 < max(lengths) == 8, "some rows end early and are dropped, some are truncated"
    entropies = []
    for i, (completion, logprobs) in enumerate(zip(out.completion_ids, out.logprobs, strict=True)):
        wanted, entropy = by_hand(model, PROMPTS[i // 30], completion, temperature)
        torch.testing.assert_close(torch.tensor(logprobs), wanted, rtol=1e-4, atol=1e-5)
        entropies += entropy.tolist()
    assert out.entropy == pytest.approx(sum(entropies) / len(entropies), rel=1e-4)


def test_a_completion_ends_at_its_stop_token_or_at_the_limit(model):
    for completion in sample(model, 40).completion_ids:
        assert EOS not in completion[:-1]
        assert completion[-1] == EOS or len(completion) == 8


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_tokens_come_with_their_probability(model, temperature):
    n = 6000
    out = sample(model, n, temperature=temperature, max_tokens=1, prompts=PROMPTS[:1])
    first = Counter(c[0] for c in out.completion_ids)
    with torch.no_grad():
        wanted = (model(input_ids=torch.tensor(PROMPTS[:1])).logits[0, -1] / temperature).softmax(-1)
    for token, p in enumerate(wanted.tolist()):
        assert abs(first[token] / n - p) < 4 * math.sqrt(p * (1 - p) / n) + 1e-9


def test_the_generator_names_the_rollouts(model):
    assert sample(model).completion_ids == sample(model).completion_ids
    assert sample(model).completion_ids != sample(model, seed=1).completion_ids
    assert sample(model).n_prefill_tokens == sum(map(len, PROMPTS)), "each prompt is read once, not once a rollout"


def test_libraries_do_not_start_talking_after_a_quiet_block(monkeypatch):
    import logging

    from saerl_core.training.embedded.library_logs import quiet_libraries

    logger = logging.getLogger("trl")
    monkeypatch.setattr(logger, "level", logging.NOTSET)  # as it is before the library is imported
    with quiet_libraries():
        assert logger.level == logging.ERROR
    assert logger.level == logging.WARNING
