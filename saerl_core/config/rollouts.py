"""Who samples the completions of labels and evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from saerl_core.config.base import Positive, Section

NO_PYTHON = (
    "rollouts.engine is 'vllm', but rollouts.python is not set; name the interpreter of an environment with vLLM (make "
    "vllm-env makes one for a CPU), or set rollouts.engine to 'hf'"
)


class RolloutsConfig(Section):
    """The engine that samples labels and evaluations; rollouts of the training are the trainer's own."""

    # hf: our own sampler; vllm: vLLM, in an environment of its own; auto: vllm where `python` is set and the policy has
    # more than 300 million parameters
    engine: Literal["auto", "hf", "vllm"] = "auto"
    python: str | None = None  # interpreter of the environment that holds vLLM
    tensor_parallel: Positive = 1  # GPUs that share one copy of the policy
    memory_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9  # of each GPU's memory
    max_model_len: Positive | None = None  # tokens of prompt and completion; None: the policy's context
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: that of the policy's weights
    silent_s: Positive = 1800  # without a finished prompt the engine counts as hung


OWN_SAMPLER = RolloutsConfig(engine="hf")
