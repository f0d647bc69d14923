"""Which engine samples: our own, or vLLM."""

from dataclasses import dataclass

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.environment import state_dir
from saerl_core.policy.loading import count_parameters
from saerl_core.records import PolicyRef
from saerl_core.rollouts.completions import CompletionSampler
from saerl_core.rollouts.sampler import Sampler
from saerl_core.rollouts.vllm_sampler import Decoding, VllmSampler
from saerl_core.shards import WHOLE, Shard

LARGE = 300_000_000  # parameters above which `auto` takes vLLM


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn: softmax(logits / temperature) inside the nucleus of top_p, each up to a bound."""

    temperature: float
    max_completion_tokens: int
    seed: int
    top_p: float = 1.0


def make_sampler(
    policy: PolicyRef, how: Sampling, config: RolloutsConfig, *, device: str = "auto", shard: Shard = WHOLE
) -> CompletionSampler:
    """Return the sampler of the configured engine, for all prompts or for those of a shard.

    Raises:
        ConfigError: vLLM is asked for and cannot be had, or a setting does not fit the policy.
    """
    if takes_vllm(policy, config):
        decoding = Decoding(how.temperature, how.top_p, how.max_completion_tokens, how.seed)
        return VllmSampler(policy, decoding, config, state_dir().absolute() / "work" / "vllm", shard)
    return Sampler(
        policy,
        temperature=how.temperature,
        top_p=how.top_p,
        max_completion_tokens=how.max_completion_tokens,
        seed=how.seed,
        device=device,
        shard=shard,
    )


def takes_vllm(policy: PolicyRef, config: RolloutsConfig) -> bool:
    """Tell whether vLLM samples from this policy."""
    if config.engine != "auto":
        return config.engine == "vllm"
    return config.python is not None and count_parameters(policy) > LARGE
