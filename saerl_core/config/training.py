"""How the policy is trained: the settings of both backends."""

from typing import Annotated, Literal

from pydantic import Field

from saerl_core.algorithms import ALGORITHMS
from saerl_core.config.base import Positive, Section, Unit, one_of


class OpenRlhfConfig(Section):
    """The OpenRLHF backend: where its environment is, how it is started, how the GPUs are used."""

    python: str | None = None  # interpreter of the trainer's environment; None: the one on PATH of `image`
    image: str | None = None  # container image of the trainer, in place of an interpreter on this machine
    launch: Literal["process", "ray_job"] = "process"
    ray_address: str = "http://127.0.0.1:8265"  # ray_job: the cluster's job server
    env: dict[str, str] = Field(default_factory=dict)  # environment variables of the trainer, e.g. NCCL_DEBUG
    env_from: tuple[str, ...] = ()  # names of variables passed on from where training runs: secrets such as HF_TOKEN
    watchdog_s: Annotated[float, Field(gt=0.0)] = 3600.0  # longest silence of the trainer
    n_nodes: Positive = 1
    gpus_per_node: Positive = 8
    colocate: bool = True  # actor, reference, critic and vLLM share the GPUs and sleep in turns
    vllm_engines: Positive | None = None  # None: as many as the GPUs allow
    vllm_tensor_parallel: Positive = 1
    vllm_memory_frac: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.6
    zero_stage: Literal[0, 1, 2, 3] = 2  # of DeepSpeed: 3 shares the weights too
    adam_offload: bool = False
    packing: bool = True  # several rollouts in one row, without padding; needs flash attention
    gradient_checkpointing: bool = True
    attention: str = "flash_attention_2"
    train_micro_batch: Positive = 4  # rollouts
    rollout_micro_batch: Positive = 8
    max_prompt_tokens: Positive = 1024
    critic_lr: Annotated[float, Field(gt=0.0)] = 9e-6  # ppo
    critic_value_clip: Annotated[float, Field(gt=0.0)] = 0.5
    gae_lambda: Unit = 1.0
    gae_gamma: Unit = 1.0
    overlong_buffer_tokens: Positive | None = None  # dapo: completions longer than max minus this are penalised
    overlong_penalty: Annotated[float, Field(ge=0.0)] = 1.0
    max_checkpoints: Annotated[int, Field(ge=2)] = 3
    extra_args: tuple[str, ...] = ()  # further flags of OpenRLHF; one that would break the plan is refused


class TrainingConfig(Section):
    """RL training."""

    enabled: bool = True
    backend: Literal["embedded", "openrlhf"] = "embedded"
    algorithm: Annotated[str, one_of(ALGORITHMS)] = "grpo"  # a row of saerl_core/algorithms.py
    seed: int | None = None  # None: the root seed; set it to repeat training on the same signals
    group_size: Annotated[int, Field(ge=2)] = 8  # rollouts a prompt and step; advantages are relative to the group
    lr: Annotated[float, Field(gt=0.0)] = 5e-4  # for the tiny built-in policy; a real model takes about 1e-6
    warmup_steps: Annotated[int, Field(ge=0)] = 5
    kl_coef: Annotated[float, Field(ge=0.0)] = 0.0  # weight of the KL term to the base policy; 0: none
    # clips of the ratio of new to old policy; with our one on-policy step a batch it is 1, so neither ever acts
    clip_low: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    clip_high: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # None: the algorithm's own
    temperature: Annotated[float, Field(gt=0.0)] = 1.0
    max_completion_tokens: Positive = 24  # for the task world; must be said for a pretrained model
    max_grad_norm: Annotated[float, Field(gt=0.0)] = 1.0
    micro_batch_rollouts: Positive | None = None  # rollouts in one backward pass, where memory needs it; None: all
    save_every_steps: Positive = 10  # what a killed training loses at most
    eval_every_steps: Positive | None = None  # scores on the dev split while training; None: none
    eval_n_samples: Positive = 4  # completions a prompt of these scores
    device: Literal["auto", "cpu", "cuda"] = "auto"
    openrlhf: OpenRlhfConfig = OpenRlhfConfig()
