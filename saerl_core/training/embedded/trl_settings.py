"""Each algorithm as TRL spells it: advantage, aggregation of the loss, clipping."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from saerl_core.algorithms import ALGORITHMS
from saerl_core.config.run import TrainingConfig
from saerl_core.records import TrainJob
from saerl_core.seeds import stage_seed
from saerl_core.unused_trackers import unused_trackers

if TYPE_CHECKING:
    from trl import GRPOConfig

_FIXED = {
    "num_iterations": 1,  # on-policy
    "mask_truncated_completions": False,
    "disable_dropout": True,  # one policy samples and trains
    "bf16": False,
    "gradient_checkpointing": False,
    "use_bias_correction_kl": True,  # the gradient of ratio * k3 is that of the reverse KL; of k3 alone it is not
    "weight_decay": 0.0,
    "save_strategy": "steps",
    "ignore_data_skip": True,  # the loader yields placeholders; the session knows which batch is due
    "logging_strategy": "steps",
    "logging_steps": 1,
    "logging_nan_inf_filter": False,
    "remove_unused_columns": False,
    "dataloader_pin_memory": False,
    "disable_tqdm": True,
    "report_to": [],
}


@dataclass(frozen=True)
class Rules:
    """How an algorithm differs from the others, in TRL's terms.

    With group size G, reward r_i, completion o_i, group mean m and standard deviation s (n - 1), and B rollouts a
    batch:

    | algorithm | advantage A_i                       | loss, over tokens t of o_i                           |
    |-----------|-------------------------------------|------------------------------------------------------|
    | grpo      | (r_i - m) / (s + 1e-4)              | 1/B sum_i 1/|o_i| sum_t l_it                         |
    | dr_grpo   | r_i - m                             | 1/(B * max_completion_tokens) sum_i sum_t l_it       |
    | dapo      | (r_i - m) / (s + 1e-4)              | 1/(sum_i |o_i|) sum_i sum_t l_it, clip_high .28      |
    | rloo      | r_i - mean of the others            | 1/B sum_i sum_t l_it                                 |

    l_it = -min(ratio * A_i, clip(ratio, 1 - clip_low, 1 + clip_high) * A_i) + kl_coef * ratio * k3, where
    k3 = exp(d) - d - 1 and d = log pi_base - log pi. Sources: arXiv:2402.03300, 2503.20783, 2503.14476, 2402.14740; the
    ratio before k3: 2512.02556. RLOO runs through the GRPO trainer: r_i minus the mean of the others is G/(G - 1)
    times (r_i - m), and its sequence-level loss is the sum over tokens, because on-policy the ratio is 1.
    """

    loss_type: Literal["grpo", "dr_grpo", "dapo"]
    scale_rewards: Literal["group", "none"]
    advantage_factor: float
    loss_factor: float
    clip_high: float

    @property
    def averages_sequences(self) -> bool:
        """True where the loss divides by the number of rollouts, False where by the number of tokens."""
        return self.loss_type != "dapo"


def rules_of(config: TrainingConfig) -> Rules:
    """Return the rules of the configured algorithm."""
    _, high = ALGORITHMS[config.algorithm].clip_range(config.clip_low, config.clip_high)
    group, length = config.group_size, config.max_completion_tokens
    return {
        "grpo": Rules("grpo", "group", 1.0, 1.0, high),
        "dr_grpo": Rules("dr_grpo", "none", 1.0, 1.0, high),
        "dapo": Rules("dapo", "group", 1.0, 1.0, high),
        "rloo": Rules("dr_grpo", "none", group / (group - 1), float(length), high),
    }[config.algorithm]


def trl_config(job: TrainJob, device: str, output_dir: Path) -> "GRPOConfig":
    """Return TRL's configuration: the rollouts of a batch of prompts make `updates_per_batch` optimizer steps."""
    with unused_trackers():
        from trl import GRPOConfig

    config, rules = job.config, rules_of(job.config)
    n_rollouts = job.prompts_per_step * config.group_size
    n_updates = config.updates_per_batch
    micro = config.micro_batch_rollouts or n_rollouts // n_updates
    return GRPOConfig(
        **_FIXED,
        output_dir=str(output_dir),
        max_steps=job.n_steps * n_updates,
        seed=stage_seed(job.seed, "training"),
        use_cpu=device == "cpu",
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=n_rollouts // n_updates // micro,
        steps_per_generation=n_rollouts // micro,
        num_generations=config.group_size,
        max_completion_length=config.max_completion_tokens,
        temperature=config.temperature,
        loss_type=rules.loss_type,
        scale_rewards=rules.scale_rewards,
        epsilon=config.clip_low,
        epsilon_high=rules.clip_high,
        beta=config.kl_coef,
        learning_rate=config.lr,
        max_grad_norm=config.max_grad_norm,
        save_steps=config.save_every_steps * n_updates,
    )
