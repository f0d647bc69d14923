"""In place of vLLM, on a CPU: the names that OpenRLHF imports, an engine that runs Hugging Face's `generate`.

OpenRLHF's own engine actor, executor, dispatch and weight update drive it unchanged. Only for the test environment:
TRL takes any package of this name for the real one.
"""

from dataclasses import dataclass

from vllm.engine import AsyncLLMEngine

__all__ = ["AsyncEngineArgs", "AsyncLLMEngine", "SamplingParams"]
__version__ = "0.29.0"


@dataclass
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = -1
    max_tokens: int | None = 16
    min_tokens: int = 0
    skip_special_tokens: bool = True
    logprobs: int | None = None


class AsyncEngineArgs:
    def __init__(self, model, seed=0, max_model_len=None, trust_remote_code=False, dtype="auto", **_gpu_settings):
        self.model, self.seed, self.max_model_len = model, seed, max_model_len
        self.trust_remote_code, self.dtype = trust_remote_code, dtype
