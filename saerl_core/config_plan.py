"""Which prompts in which batch, in which order: the settings of all strategies."""

from typing import Annotated, Literal

from pydantic import Field

from saerl_core.config_base import Positive, Section, Unit


class VectorsConfig(Section):
    """What a strategy that shares what it learns knows of every prompt; all that `embed_prompts` reads."""

    features: Literal["sae", "dense", "random_sae", "surface", "none"] = "sae"  # adaptive: what prompts share
    n_components: Positive = 48  # whitened principal components of these features
    use_likelihood: bool = True  # adaptive: the policy's own likelihood of prompt and answer beside them


class OnlineConfig(VectorsConfig):
    """Strategies that answer to rewards: what they know of a prompt, how fast they forget, whom they try."""

    use_quality: bool = False  # leave out what the quality probe does not keep
    ridge: Annotated[float, Field(gt=0.0)] = 30.0
    forgetting: Annotated[float, Field(gt=0.0, le=1.0)] = 0.93  # share of the evidence kept from step to step
    noise: Annotated[float, Field(ge=0.0)] = 0.06  # variance of a group's pass rate; 0: no Thompson sampling
    memory_weight: Annotated[float, Field(ge=0.0)] = 1.0  # pseudo-observations that shrink a prompt's own residual
    memory_kept: Annotated[float, Field(gt=0.0, le=1.0)] = 0.99
    warmup_steps: Annotated[int, Field(ge=0)] = 2  # random batches at first
    cooldown_steps: Annotated[int, Field(ge=0)] = 12  # before a prompt may return
    explore_frac: Unit = 0.0  # share of every batch that is drawn at random

    def vectors(self) -> VectorsConfig:
        """Return the settings of the vectors alone: the others must not be in the key of the policy's forward pass."""
        return VectorsConfig(**{name: getattr(self, name) for name in VectorsConfig.model_fields})


class PlanConfig(Section):
    """Which prompts in which batch, in which order."""

    strategy: Literal["saerl", "vanilla", "difficulty", "adaptive", "mopps", "bandit"] = "saerl"
    prompts_per_step: Positive = 32
    n_steps: Positive | None = 60  # None: one epoch
    use_quality: bool = True  # saerl only: drop what the quality probe does not keep
    use_clusters: bool = True
    use_difficulty: bool = True
    grouping: Literal["cluster", "interleaved"] = "cluster"
    mix_frac: Unit = 0.125  # rho: share of a batch exchanged with its neighbour
    online: OnlineConfig = OnlineConfig()  # adaptive, mopps, bandit
