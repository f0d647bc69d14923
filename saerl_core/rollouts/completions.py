"""What labels and evaluations need of whatever samples for them."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Completion:
    """One sampled continuation; `n_tokens` counts the end-of-sequence token, `truncated` says that there was none."""

    text: str
    n_tokens: int
    truncated: bool


class CompletionSampler(Protocol):
    """Samples from one policy; the counters say what the model has read and written so far."""

    context_tokens: int | None  # positions of the model; None: no bound is known
    max_completion_tokens: int
    n_prefill_tokens: int
    n_generated_tokens: int
    engine: str  # its name and version, for the report; empty: our own sampler
    start_s: float  # seconds that engines took to start so far; 0: there is none beside the model itself

    def sample(self, prompts: list[str], n: int, *, desc: str = "sampling") -> list[list[Completion]]:
        """Return `n` completions for each prompt, in the order of the prompts; `desc` names the progress bar.

        A sampler for a shard answers the prompts of its own; the others have no completion.
        """
        ...

    def fitting(self, prompts: list[str]) -> list[bool]:
        """Return for every prompt whether it fits into the model's context with room for a whole completion."""
        ...
