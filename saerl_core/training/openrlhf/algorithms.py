"""Each algorithm as OpenRLHF 0.11.2 spells it in flags."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from saerl_core.algorithms import ALGORITHMS
from saerl_core.config.run import TrainingConfig


@dataclass(frozen=True)
class Spelling:
    """How an algorithm differs from the others.

    With group size G, reward r_i, completion o_i, mean m and standard deviation s of its group, N all tokens of
    the batch, and l_it = -min(ratio * A_it, clip(ratio, 1 - clip_low, 1 + clip_high) * A_it):

    | algorithm            | advantage A_it                          | loss                          | KL        |
    |----------------------|-----------------------------------------|-------------------------------|-----------|
    | grpo                 | (r_i - m) / (s + 1e-9)                  | 1/B sum_i 1/|o_i| sum_t l_it  | loss      |
    | dr_grpo              | r_i - m                                 | 1/N sum_i sum_t l_it          | loss      |
    | dapo                 | (r_i - m) / (s + 1e-9), clip_high .28   | 1/N sum_i sum_t l_it          | loss      |
    | rloo                 | r_i - mean of the others                | 1/N sum_i sum_t l_it          | loss      |
    | reinforce++          | r_i - KL to the end, whitened           | 1/N sum_i sum_t l_it          | reward k1 |
    | reinforce++-baseline | r_i - m, whitened over the batch        | 1/N sum_i sum_t l_it          | loss      |
    | gspo                 | as grpo; one ratio for a whole sequence | 1/B sum_i 1/|o_i| sum_t l_it  | loss      |
    | ppo                  | GAE from the critic, whitened           | 1/N sum_i sum_t l_it          | reward k1 |

    A KL in the loss is the k3 estimate with the gradient of the reverse KL, as in the embedded backend. Two normalisers
    differ from the embedded backend: its dr_grpo divides by B * max_completion_tokens and its rloo by B, because
    OpenRLHF has no such constants; with N in their place the learning rate acts otherwise. As a batch of the plan is
    one optimizer step, the ratio is 1 up to rounding and clipping hardly ever acts, whatever the algorithm.
    """

    estimator: Literal["gae", "reinforce", "rloo", "reinforce_baseline", "group_norm", "dr_grpo"]
    aggregation: Literal["token-mean", "seq-mean-token-mean"] = "token-mean"
    policy_loss: Literal["ppo", "gspo"] = "ppo"
    kl_in_loss: bool = True


SPELLINGS: dict[str, Spelling] = {
    "grpo": Spelling("group_norm", "seq-mean-token-mean"),
    "dr_grpo": Spelling("dr_grpo"),
    "dapo": Spelling("group_norm"),
    "rloo": Spelling("rloo"),
    "reinforce++": Spelling("reinforce", kl_in_loss=False),
    "reinforce++-baseline": Spelling("reinforce_baseline"),
    "gspo": Spelling("group_norm", "seq-mean-token-mean", policy_loss="gspo"),
    "ppo": Spelling("gae", kl_in_loss=False),
}


def algorithm_flags(config: TrainingConfig) -> Iterator[str]:
    """Yield the flags of the configured algorithm: advantage, loss, clipping, KL, length penalty."""
    spelling, row, settings = SPELLINGS[config.algorithm], ALGORITHMS[config.algorithm], config.openrlhf
    yield from ("--algo.advantage.estimator", spelling.estimator)
    yield from ("--actor.policy_loss_type", spelling.policy_loss)
    yield from ("--actor.loss_agg_mode", spelling.aggregation)
    yield from ("--actor.eps_clip_low_high", *map(str, row.clip_range(config.clip_low, config.clip_high)))
    yield from ("--algo.kl.init_coef", str(config.kl_coef))  # 0: no reference model at all
    if spelling.kl_in_loss and config.kl_coef > 0:
        yield from ("--algo.kl.use_loss", "--algo.kl.estimator", "k3", "--algo.kl.unbiased_gradient")
    else:
        yield from ("--algo.kl.estimator", "k1")
    if settings.overlong_buffer_tokens is not None:
        yield from ("--reward.overlong_buffer_len", str(settings.overlong_buffer_tokens))
        yield from ("--reward.overlong_penalty_factor", str(settings.overlong_penalty))
