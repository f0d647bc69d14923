"""How the policy is trained: the settings of both backends."""

from typing import Annotated, Literal

from pydantic import Field

from saerl_core.algorithms import ALGORITHMS
from saerl_core.config.base import Positive, Section, one_of
from saerl_core.config.openrlhf import OpenRlhfConfig


class TrainingConfig(Section):
    """RL training."""

    enabled: bool = True
    backend: Literal["embedded", "openrlhf"] = "embedded"
    algorithm: Annotated[str, one_of(ALGORITHMS)] = "grpo"  # a row of saerl_core/algorithms.py
    seed: int | None = None  # None: the root seed; set it to repeat training on the same signals
    group_size: Annotated[int, Field(ge=2)] = 4  # rollouts a prompt and step; advantages are relative to the group
    updates_per_batch: Positive = 1  # optimizer steps on the rollouts of a batch, each on an equal part of them
    screen: Literal["none", "dynamic", "pilot"] = "none"  # leave out groups of equal rewards and sample others instead
    max_rounds: Annotated[int, Field(ge=1)] = 4  # screening: at most so many batches of prompts are sampled for a step
    pilot_rollouts: Annotated[int, Field(ge=2)] = 2  # screen pilot: rollouts of a group before the rest is sampled
    lr: Annotated[float, Field(gt=0.0)] = 5e-4  # for the tiny built-in policy; a real model takes about 1e-6
    warmup_steps: Annotated[int, Field(ge=0)] = 5
    kl_coef: Annotated[float, Field(ge=0.0)] = 0.0  # weight of the KL term to the base policy; 0: none
    # clips of the ratio of new to old policy; with one update a batch it is 1, so neither ever acts
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
