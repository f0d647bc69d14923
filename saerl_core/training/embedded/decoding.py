"""Rollouts of the policy in training: token ids with the log-probabilities and entropies that they were sampled with.

`rollouts.sampler` draws text for labels and evaluation from a policy in a folder; here the model is the live one, the
tokens themselves are trained on, and one generator serves the whole batch.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaxtyping import Float, Int

from saerl_core.errors import BackendError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel
    from transformers.cache_utils import DynamicCache

_DROP_BELOW = 0.75  # finished rows leave the batch when fewer than this share go on


@dataclass(frozen=True)
class Rollouts:
    """Sampled completions, n in a row for each prompt; one ends with its stop token unless it was truncated."""

    completion_ids: list[list[int]]
    logprobs: list[list[float]]  # of each sampled token, at the sampling temperature
    entropy: float  # mean over all sampled tokens, in nats
    n_prefill_tokens: int


@dataclass
class _Rows:
    """The completions that are still being written."""

    index: "torch.Tensor"  # place of each row in the result
    mask: "torch.Tensor"
    cache: "DynamicCache"

    def keep(self, going: "torch.Tensor") -> None:
        """Drop the rows that have ended."""
        self.index, self.mask = self.index[going], self.mask[going]
        self.cache.batch_select_indices(going.nonzero()[:, 0])


def sample_rollouts(
    model: "PreTrainedModel",
    prompts: list[list[int]],
    n: int,
    *,
    temperature: float,
    max_tokens: int,
    stop: frozenset[int],
    generator: "torch.Generator",
) -> Rollouts:
    """Sample `n` completions a prompt from softmax(logits / temperature), each up to a stop token or `max_tokens`.

    Every prompt is read once; its cache is repeated for the n samples. No top-k, no top-p.
    """
    import torch

    stops = torch.tensor(sorted(stop), device=model.device)
    written = _Written(len(prompts) * n, max_tokens, model.device)
    with torch.no_grad():
        rows, logits = _read(model, prompts, n)
        for step in range(max_tokens):
            scores = (logits.float() / temperature).log_softmax(-1)
            if bool(scores.isnan().any()):
                raise BackendError("the policy's logits are not finite any more; lower training.lr and train anew")
            token = torch.multinomial(scores.exp(), 1, generator=generator)
            going = written.add(step, rows.index, token[:, 0], scores, stops)
            n_going = int(going.sum())
            if n_going == 0 or step + 1 == max_tokens:
                break
            if n_going < _DROP_BELOW * len(going):
                rows.keep(going)
                token = token[going]
            logits = _forward(model, rows, token)
    return written.gathered(sum(map(len, prompts)))


class _Written:
    """All completions as rectangles `rows x max_tokens`; a row counts up to its length."""

    def __init__(self, n_rows: int, max_tokens: int, device: "torch.device") -> None:
        import torch

        self.tokens = torch.zeros(n_rows, max_tokens, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(n_rows, max_tokens, device=device)
        self.entropies = torch.zeros(n_rows, max_tokens, device=device)
        self.lengths = torch.full((n_rows,), max_tokens, device=device)

    def add(
        self, step: int, index: "torch.Tensor", token: "torch.Tensor", scores: "torch.Tensor", stops: "torch.Tensor"
    ) -> "torch.Tensor":
        """Write one token of the rows at `index`; returns which of them go on."""
        import torch

        self.tokens[index, step] = token
        self.logprobs[index, step] = scores.gather(1, token[:, None])[:, 0]
        self.entropies[index, step] = -(scores.exp() * scores).nan_to_num(0.0).sum(-1)
        length = self.lengths[index]
        length[torch.isin(token, stops) & (length > step)] = step + 1  # a row that has ended stays until it is dropped
        self.lengths[index] = length
        return length > step + 1

    def gathered(self, n_prefill_tokens: int) -> Rollouts:
        """Cut the rectangles to lists without padding."""
        import torch

        sizes = self.lengths.tolist()
        inside = torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]
        return Rollouts(
            completion_ids=[row[:size] for row, size in zip(self.tokens.tolist(), sizes, strict=True)],
            logprobs=[row[:size] for row, size in zip(self.logprobs.tolist(), sizes, strict=True)],
            entropy=float(self.entropies[inside].double().mean()),
            n_prefill_tokens=n_prefill_tokens,
        )


def _read(
    model: "PreTrainedModel", prompts: list[list[int]], n: int
) -> "tuple[_Rows, Float[torch.Tensor, 'rows vocab']]":
    """Read the left-padded prompts once and repeat their caches and last logits n times."""
    import torch
    from transformers.cache_utils import DynamicCache

    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    rows = _Rows(torch.arange(len(prompts) * n, device=model.device), mask, DynamicCache(config=model.config))
    logits = _forward(model, rows, ids, grow=False)
    rows.cache.batch_repeat_interleave(n)
    rows.mask = mask.repeat_interleave(n, 0)
    return rows, logits.repeat_interleave(n, 0)


def _forward(
    model: "PreTrainedModel", rows: _Rows, ids: "Int[torch.Tensor, 'rows seq']", grow: bool = True
) -> "Float[torch.Tensor, 'rows vocab']":
    """Feed the next tokens of all rows and return the logits after the last one."""
    import torch

    if grow:
        rows.mask = torch.cat((rows.mask, rows.mask.new_ones(len(rows.mask), 1)), 1)
    positions = (rows.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    output = model(
        input_ids=ids,
        attention_mask=rows.mask,
        position_ids=positions,
        past_key_values=rows.cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: torch.Tensor = output.logits[:, -1]
    return logits
