"""How fast a policy is sampled from and updated on the machine at hand: ten prompts, once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.records import PolicyRef
from saerl_core.rollouts.engines import Sampling, make_sampler

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ROWS = 8  # sequences of one forward and backward pass


@dataclass(frozen=True)
class Throughput:
    """What was measured; speeds hold for this machine, this engine and batches of this size."""

    n_prompts: int
    n_rollouts: int
    tokens_per_second: float  # generated
    mean_tokens: float  # a completion
    cut_frac: float  # completions that ended at the bound
    engine: str
    update_ms_per_token: float | None = None  # forward and backward, prompt and completion; None: not measured


def measure_throughput(
    policy: PolicyRef,
    prompts: Sequence[str],
    n_samples: int,
    how: Sampling,
    rollouts: RolloutsConfig,
    *,
    with_updates: bool,
) -> Throughput:
    """Sample `n_samples` completions of each prompt and time it, the loading of the model apart.

    `with_updates`: time forward and backward passes over the same sequences too, without an optimizer's step.
    """
    sampler = make_sampler(policy, how, rollouts)
    texts = [text for text, fits in zip(prompts, sampler.fitting(list(prompts)), strict=True) if fits]
    sampler.sample(texts[:1], 1, desc="warming up")
    started = time.perf_counter()
    groups = sampler.sample(texts, n_samples, desc="measuring throughput")
    seconds = time.perf_counter() - started
    found = [completion for group in groups for completion in group]
    n_tokens = sum(completion.n_tokens for completion in found)
    update = None
    if with_updates:
        pairs = [(text, c.text) for text, group in zip(texts, groups, strict=True) for c in group]
        update = _update_ms_per_token(policy, pairs)
    return Throughput(
        n_prompts=len(texts),
        n_rollouts=len(found),
        tokens_per_second=n_tokens / seconds,
        mean_tokens=n_tokens / len(found),
        cut_frac=sum(completion.truncated for completion in found) / len(found),
        engine=sampler.engine or "hf",
        update_ms_per_token=update,
    )


def _update_ms_per_token(policy: PolicyRef, pairs: Sequence[tuple[str, str]]) -> float:
    """Return milliseconds a token of forward and backward passes in batches; the first batch warms up."""
    tokenizer, model = load_tokenizer(policy), load_model(policy)
    read = prompt_tokens(tokenizer, [prompt for prompt, _ in pairs], policy.prompt_format)
    written = [tokenizer(text, add_special_tokens=False)["input_ids"] for _, text in pairs]
    rows = [[*before, *after] for before, after in zip(read, written, strict=True)]
    batches = [rows[i : i + _ROWS] for i in range(0, len(rows), _ROWS)]
    _pass(model, batches[0])
    started = time.perf_counter()
    for batch in batches:
        _pass(model, batch)
    return 1000 * (time.perf_counter() - started) / sum(map(len, rows))


def _pass(model: "PreTrainedModel", rows: Sequence[Sequence[int]]) -> None:
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    logprobs = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    (logprobs * mask[:, 1:]).sum().backward()
    model.zero_grad(set_to_none=True)
