"""How fast a policy is sampled from and updated on the machine at hand: ten prompts, once."""

import time
from collections.abc import Sequence

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.policy.update_time import update_ms_per_token
from saerl_core.records import PolicyRef, Throughput
from saerl_core.rollouts.engines import Sampling, make_sampler


def measure_throughput(
    policy: PolicyRef,
    prompts: Sequence[str],
    n_samples: int,
    how: Sampling,
    rollouts: RolloutsConfig,
    *,
    with_updates: bool,
) -> Throughput:
    """Sample `n_samples` completions of each prompt and time it, the loading of the model and an engine's start apart.

    `with_updates`: time forward and backward passes over the same sequences too, without an optimizer's step.
    """
    sampler = make_sampler(policy, how, rollouts)
    texts = [text for text, fits in zip(prompts, sampler.fitting(list(prompts)), strict=True) if fits]
    if not sampler.engine:  # another engine starts anew, and warms up as it does
        sampler.sample(texts[:1], 1, desc="warming up")
    started = time.perf_counter()
    groups = sampler.sample(texts, n_samples, desc="measuring throughput")
    seconds = time.perf_counter() - started - sampler.start_s
    found = [completion for group in groups for completion in group]
    n_tokens = sum(completion.n_tokens for completion in found)
    update = None
    if with_updates:
        pairs = [(text, c.text) for text, group in zip(texts, groups, strict=True) for c in group]
        update = update_ms_per_token(policy, pairs)
    return Throughput(
        n_prompts=len(texts),
        n_rollouts=len(found),
        tokens_per_second=n_tokens / seconds,
        mean_tokens=n_tokens / len(found),
        cut_frac=sum(completion.truncated for completion in found) / len(found),
        engine=sampler.engine or "hf",
        start_s=sampler.start_s,
        update_ms_per_token=update,
    )
