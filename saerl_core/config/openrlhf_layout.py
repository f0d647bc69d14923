"""How the OpenRLHF backend lays its models out on the GPUs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from saerl_core.algorithms import ALGORITHMS

if TYPE_CHECKING:
    from saerl_core.config.run import TrainingConfig


@dataclass(frozen=True)
class GpuLayout:
    """Numbers of GPUs. Colocated models share those of the actor and sleep in turns; others have GPUs of their own."""

    actor_gpus: int  # processes of data-parallel training
    n_engines: int  # of vLLM
    engine_gpus: int  # of one engine: its tensor parallelism
    n_other_models: int  # reference (with a KL term) and critic (ppo), each as large as the actor
    colocate: bool

    @property
    def total(self) -> int:
        """GPUs that Ray must have."""
        if self.colocate:
            return self.actor_gpus
        return self.actor_gpus * (1 + self.n_other_models) + self.n_engines * self.engine_gpus


def gpu_layout(training: "TrainingConfig") -> GpuLayout:
    """Return the layout of a configuration; without `vllm_engines` as many engines as fit on as many GPUs as the actor.

    `n_nodes` and `gpus_per_node` are those of the actor.
    """
    settings = training.openrlhf
    actor_gpus = settings.n_nodes * settings.gpus_per_node
    engines = settings.vllm_engines or max(1, actor_gpus // settings.vllm_tensor_parallel)
    others = int(training.kl_coef > 0) + int(ALGORITHMS[training.algorithm].has_critic)
    return GpuLayout(actor_gpus, engines, settings.vllm_tensor_parallel, others, settings.colocate)
