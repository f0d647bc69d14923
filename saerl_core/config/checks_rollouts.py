"""An engine for labels and evaluation that cannot work, as far as the settings alone tell it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from saerl_core.config.rollouts import NO_PYTHON

if TYPE_CHECKING:
    from saerl_core.config.run import RunConfig


def rollout_problems(config: "RunConfig") -> Iterator[str]:
    """Yield a sentence for each setting of vLLM that no label and no evaluation could be sampled with."""
    rollouts, policy = config.rollouts, config.policy
    lengths = {
        f"{name}.max_completion_tokens": section.max_completion_tokens
        for name, section, samples in (
            ("pass_rates", config.pass_rates, config.may_measure),
            ("evaluation", config.evaluation, config.evaluation.enabled),
        )
        if samples
    }
    if rollouts.engine != "vllm" or not lengths:
        return
    if rollouts.python is None:
        yield NO_PYTHON
    if policy.source != "pretrained" and policy.n_heads % rollouts.tensor_parallel:
        yield (
            f"rollouts.tensor_parallel is {rollouts.tensor_parallel}, which does not divide policy.n_heads = "
            f"{policy.n_heads}; choose a divisor"
        )
    for name, longest in lengths.items():
        if rollouts.max_model_len is not None and rollouts.max_model_len <= longest:
            yield (
                f"rollouts.max_model_len is {rollouts.max_model_len} tokens of prompt and completion, and {name} is "
                f"{longest}: no room is left for a prompt; raise the first, leave it out, or lower the second"
            )
