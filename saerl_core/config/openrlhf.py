"""The settings of the OpenRLHF backend: a field each, with the flag that it becomes; may a resume change it?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from saerl_core.config.base import Positive, Section, Unit


@dataclass(frozen=True)
class Setting:
    """What stands beside a field, for the command and for the fingerprint of a training."""

    flag: str | None = None  # of OpenRLHF, that the value is given to; a yes switches it on; None: no flag of its own
    may_change: bool = False  # between a run and its resume: where and how fast it runs, not what it trains
    with_critic: bool = False  # given only where the algorithm has one


WHEREVER = Setting(may_change=True)


class OpenRlhfConfig(Section):
    """The OpenRLHF backend: where its environment is, how it is started, how the GPUs are used."""

    # interpreter of the trainer's environment; None: the one on PATH of `image`
    python: Annotated[str | None, WHEREVER] = None
    image: Annotated[str | None, WHEREVER] = None  # container image of the trainer, in place of an interpreter
    launch: Annotated[Literal["process", "ray_job"], WHEREVER] = "process"
    ray_address: Annotated[str, WHEREVER] = "http://127.0.0.1:8265"  # ray_job: the cluster's job server
    # environment variables of the trainer, e.g. NCCL_DEBUG
    env: Annotated[dict[str, str], WHEREVER] = Field(default_factory=dict)
    # names of variables passed on from where training runs: secrets such as HF_TOKEN
    env_from: Annotated[tuple[str, ...], WHEREVER] = ()
    watchdog_s: Annotated[float, Field(gt=0.0), WHEREVER] = 3600.0  # longest silence of the trainer
    n_nodes: Positive = 1
    gpus_per_node: Positive = 8
    colocate: bool = True  # actor, reference, critic and vLLM share the GPUs and sleep in turns
    vllm_engines: Annotated[Positive | None, WHEREVER] = None  # None: as many as the GPUs allow
    vllm_tensor_parallel: Annotated[Positive, Setting("vllm.tensor_parallel_size", may_change=True)] = 1
    vllm_memory_frac: Annotated[
        float, Field(gt=0.0, lt=1.0), Setting("vllm.gpu_memory_utilization", may_change=True)
    ] = 0.6
    zero_stage: Annotated[Literal[0, 1, 2, 3], Setting("ds.zero_stage")] = 2  # of DeepSpeed: 3 shares the weights too
    adam_offload: Annotated[bool, Setting("ds.adam_offload")] = False
    # several rollouts in one row, without padding; needs flash attention
    packing: Annotated[bool, Setting("ds.packing_samples", may_change=True)] = True
    gradient_checkpointing: Annotated[bool, Setting("actor.gradient_checkpointing_enable", may_change=True)] = True
    attention: Annotated[str, Setting("ds.attn_implementation", may_change=True)] = "flash_attention_2"
    train_micro_batch: Annotated[Positive, Setting("train.micro_batch_size", may_change=True)] = 4  # rollouts
    rollout_micro_batch: Annotated[Positive, Setting("rollout.micro_batch_size", may_change=True)] = 8
    max_prompt_tokens: Annotated[Positive, WHEREVER] = 1024
    critic_lr: Annotated[float, Field(gt=0.0), Setting("critic.adam.lr", with_critic=True)] = 9e-6  # ppo
    critic_value_clip: Annotated[float, Field(gt=0.0), Setting("critic.value_clip", with_critic=True)] = 0.5
    gae_lambda: Annotated[Unit, Setting("algo.advantage.lambd", with_critic=True)] = 1.0
    gae_gamma: Annotated[Unit, Setting("algo.advantage.gamma", with_critic=True)] = 1.0
    overlong_buffer_tokens: Positive | None = None  # dapo: completions longer than max minus this are penalised
    overlong_penalty: Annotated[float, Field(ge=0.0)] = 1.0
    max_checkpoints: Annotated[int, Field(ge=2), Setting("ckpt.max_num", may_change=True)] = 3
    extra_args: tuple[str, ...] = ()  # further flags of OpenRLHF; one that would break the plan is refused

    def flags(self, *, has_critic: bool) -> Iterator[str]:
        """Yield the flags of all fields that have one, each with its value."""
        for name, setting in settings_of_fields().items():
            value = getattr(self, name)
            if setting.flag is None or value is None or value is False or (setting.with_critic and not has_critic):
                continue
            yield f"--{setting.flag}"
            if value is not True:
                yield str(value)


def settings_of_fields() -> dict[str, Setting]:
    """Return what stands beside each field, in their order."""
    fields = OpenRlhfConfig.model_fields.items()
    return {name: next((m for m in field.metadata if isinstance(m, Setting)), Setting()) for name, field in fields}


def may_change_on_resume() -> frozenset[str]:
    """Return the fields that only say where a training runs, how much memory it takes or how often it saves."""
    return frozenset(name for name, setting in settings_of_fields().items() if setting.may_change)
