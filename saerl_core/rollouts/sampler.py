"""Batched sampling of completions from a causal LM; the only module of the room that uses torch.

Every completion has its own stream of uniform numbers, named by seed, prompt and sample number, and a token is drawn by
inverting the cumulative distribution at the next number. A completion therefore does not depend on the other prompts of
the call, on their order or on the chunking (up to rounding in the logits), and two policies that are sampled with the
same seed answer to the same numbers: the noise of a paired comparison is smaller.
"""

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64

from saerl_core.errors import ConfigError, DataError
from saerl_core.policy.context import context_tokens, fitting
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.progress import track
from saerl_core.records import PolicyRef
from saerl_core.rollouts.completions import Completion
from saerl_core.rollouts.streams import stream, stream_names
from saerl_core.shards import WHOLE, Shard

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm
    from transformers import DynamicCache, PreTrainedModel

MAX_ROWS = 512  # rows decoded together; more is slower on a CPU, whose caches the keys and values then leave
CPU_BYTES = 1 << 30  # bound of key-value cache and logits of one chunk on a CPU; on a GPU half of what is free
_DROP_BELOW = 0.75  # finished rows are dropped when the live ones are fewer than this share


@dataclass(frozen=True)
class _Chunk:
    """Prompts decoded together: row r of the batch is sample r % n of prompt `index[r // n]`."""

    index: list[int]
    tokens: list[list[int]]
    uniform: Float64[np.ndarray, "rows max_new"]


class Sampler:
    """Samples from one policy with temperature and top-p; greedy where the temperature is 0. No top-k.

    The same seed and the same prompts give the same completions, in each call again.
    `n_prefill_tokens` and `n_generated_tokens` count what the model has read and written so far.
    """

    context_tokens: int | None = None  # positions of the model; None: no bound is known
    engine = ""
    start_s = 0.0

    def __init__(
        self,
        policy: PolicyRef,
        *,
        temperature: float,
        max_completion_tokens: int,
        seed: int,
        top_p: float = 1.0,
        device: str = "auto",
        model: "PreTrainedModel | None" = None,
        shard: Shard = WHOLE,
    ) -> None:
        """Load the policy; `device` is a torch device, or "auto" for a GPU where there is one.

        Give `model`, on that device, to sample from a policy in training instead of the weights in its folder.
        Of a `shard` only the prompts of its batches are answered.

        Raises:
            ConfigError: temperature below 0, top_p outside (0, 1], or no room for a completion token.
        """
        import torch

        from saerl_core.policy.loading import load_model, load_tokenizer, stop_tokens

        if temperature < 0 or max_completion_tokens < 1:
            raise ConfigError(
                f"temperature {temperature} and max_completion_tokens {max_completion_tokens}: "
                "the first must be >= 0, the second >= 1"
            )
        if not 0.0 < top_p <= 1.0:
            raise ConfigError(f"top_p is {top_p}; it must be above 0 and at most 1, and 1 leaves out no token")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.temperature = temperature
        self.top_p = top_p
        self.max_completion_tokens = max_completion_tokens
        self.seed = seed
        self.n_prefill_tokens = 0
        self.n_generated_tokens = 0
        self._shard = shard
        self._device = torch.device(device)
        self._model: PreTrainedModel = load_model(policy, device=device).eval() if model is None else model
        self._tokenizer = load_tokenizer(policy)
        self._format = policy.prompt_format
        self.context_tokens = context_tokens(self._model.config)
        self._stop = stop_tokens(getattr(self._model, "generation_config", None), self._tokenizer)
        self._takes_positions = "position_ids" in inspect.signature(self._model.forward).parameters
        self._takes_keep = "logits_to_keep" in inspect.signature(self._model.forward).parameters

    def sample(self, prompts: list[str], n: int, *, desc: str = "sampling") -> list[list[Completion]]:
        """Return `n` completions for each prompt, in the order of the prompts; `desc` names the progress bar.

        The policy reads every prompt in its own `prompt_format`. Prompts of other shards have no completion.

        Raises:
            ConfigError: the tokenizer cannot give the policy's prompt format.
            DataError: a prompt does not fit into the model's context, or has no token at all.
        """
        if not prompts or n < 1:
            return [[] for _ in prompts]
        tokens = self._encode(prompts)
        results: list[list[Completion]] = [[] for _ in prompts]
        chunks = self._chunks(prompts, tokens, n)
        with track(sum(len(chunk.index) for chunk in chunks) * n, desc, unit="completion") as bar:
            for chunk in chunks:
                rows = self._decode(chunk, n, bar)
                for place, i in enumerate(chunk.index):
                    results[i] = [self._completion(row) for row in rows[place * n : (place + 1) * n]]
        return results

    def fitting(self, prompts: list[str]) -> list[bool]:
        """Return for every prompt whether it fits into the model's context with room for a whole completion."""
        if self.context_tokens is None:
            return [True] * len(prompts)
        return fitting(prompts, self._tokenizer, self._format, self.context_tokens - self.max_completion_tokens)

    def _encode(self, prompts: list[str]) -> list[list[int]]:
        tokens = prompt_tokens(self._tokenizer, prompts, self._format)
        longest = max(len(t) for t in tokens)
        limit = self.context_tokens
        if limit is not None and longest + self.max_completion_tokens > limit:
            raise DataError(
                f"the longest prompt has {longest} tokens and max_completion_tokens is {self.max_completion_tokens}; "
                f"the model's context is {limit}; lower prompts.max_prompt_chars or max_completion_tokens"
            )
        return tokens

    def _chunks(self, prompts: list[str], tokens: list[list[int]], n: int) -> list[_Chunk]:
        """Cut the prompts, longest first, into groups whose cache and logits fit; a group is at least one prompt."""
        names, n_new = stream_names(prompts, self.seed), self.max_completion_tokens
        order = sorted(range(len(prompts)), key=lambda i: (-len(tokens[i]), prompts[i]))
        parts: list[list[int]] = []
        while order:
            row_bytes = self._row_bytes(len(tokens[order[0]]) + n_new)
            rows = min(MAX_ROWS, self._memory_bytes() // row_bytes)
            part, order = order[: max(1, rows // n)], order[max(1, rows // n) :]
            parts.append(part)
        return [
            _Chunk(part, [tokens[i] for i in part], np.concatenate([stream(names[i], n, n_new) for i in part]))
            for part in self._shard.of(parts)
        ]

    def _row_bytes(self, length: int) -> int:
        """Return an upper bound for one row: keys and values of every layer, doubled while they grow, and logits."""
        config = self._model.config.get_text_config()
        size = next(self._model.parameters()).element_size()
        cache = 2 * 2 * config.num_hidden_layers * config.hidden_size * length * size
        return int(cache + 32 * config.vocab_size)

    def _memory_bytes(self) -> int:
        import torch

        if self._device.type != "cuda":
            return CPU_BYTES
        free = torch.cuda.mem_get_info(self._device)[0]
        unused = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return (free + unused) // 2

    def _decode(self, chunk: _Chunk, n: int, bar: "tqdm[object]") -> list[list[int]]:
        """Return the new tokens of every row: prefill once a prompt, then token by token until all rows have ended."""
        import torch

        out: list[list[int]] = [[] for _ in range(len(chunk.tokens) * n)]
        with torch.inference_mode():
            state, logits = self._prefill(chunk.tokens, n)
            for step in range(self.max_completion_tokens):
                token = self._choose(logits, chunk.uniform[state.rows, step])
                n_before = int(state.going.sum())
                for place, value in enumerate(token.tolist()):
                    if state.going[place]:
                        out[state.rows[place]].append(value)
                        state.going[place] = value not in self._stop
                n_going = int(state.going.sum())
                bar.update(n_before - n_going)
                if n_going == 0 or step + 1 == self.max_completion_tokens:
                    bar.update(n_going)
                    break
                if n_going < _DROP_BELOW * len(state.rows):
                    token = state.drop_finished(token)
                logits = self._forward(state, token[:, None])
        self.n_generated_tokens += sum(map(len, out))
        return out

    def _prefill(self, tokens: list[list[int]], n: int) -> tuple["_State", "torch.Tensor"]:
        """Read every prompt once, left-padded, and repeat its cache and its last logits for the n samples."""
        import torch
        from transformers import DynamicCache

        longest = max(map(len, tokens))
        pad = self._tokenizer.pad_token_id or 0  # masked: any token will do
        ids = torch.tensor([[pad] * (longest - len(t)) + t for t in tokens], device=self._device)
        mask = torch.tensor([[0] * (longest - len(t)) + [1] * len(t) for t in tokens], device=self._device)
        state = _State(DynamicCache(config=self._model.config), mask, np.arange(len(tokens)))
        logits = self._forward(state, ids, grow=False)
        self.n_prefill_tokens += sum(map(len, tokens))
        return state.repeated(n), logits.repeat_interleave(n, 0)

    def _forward(self, state: "_State", ids: "torch.Tensor", grow: bool = True) -> "torch.Tensor":
        """Run the model on the next tokens of all rows and return the logits of the last position, `rows x vocab`."""
        import torch

        if grow:
            state.mask = torch.cat((state.mask, state.mask.new_ones(len(state.mask), 1)), 1)
        arguments: dict[str, object] = {}
        if self._takes_positions:
            arguments["position_ids"] = (state.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        if self._takes_keep:
            arguments["logits_to_keep"] = 1
        output = self._model(
            input_ids=ids, attention_mask=state.mask, past_key_values=state.cache, use_cache=True, **arguments
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _choose(self, logits: "torch.Tensor", uniform: Float64[np.ndarray, " rows"]) -> "torch.Tensor":
        """Return each row's next token: argmax, or the first whose cumulative probability exceeds `uniform`."""
        import torch

        if self.temperature == 0:
            return logits.argmax(-1)
        probabilities = (logits.double() / self.temperature).softmax(-1)
        if self.top_p < 1.0:
            probabilities = nucleus(probabilities, self.top_p)
        cumulative = probabilities.cumsum(-1)
        total = cumulative[:, -1:].contiguous()
        at = torch.from_numpy(uniform).to(self._device)[:, None] * total
        last = torch.searchsorted(cumulative, total)  # token of the nucleus; rounding must not lead beyond it
        return torch.searchsorted(cumulative, at, right=True).minimum(last)[:, 0]

    def _completion(self, row: list[int]) -> Completion:
        ended = row[-1] in self._stop
        text = self._tokenizer.decode(row[:-1] if ended else row, skip_special_tokens=True)
        return Completion(str(text), len(row), not ended)


class _State:
    """What decoding carries from token to token: the cache, the mask, and which row of the chunk stands where."""

    def __init__(self, cache: "DynamicCache", mask: "torch.Tensor", rows: np.ndarray) -> None:
        self.cache = cache
        self.mask = mask
        self.rows = rows
        self.going = np.ones(len(rows), dtype=bool)

    def repeated(self, n: int) -> "_State":
        """Return the state with each row n times; row r becomes rows r * n ... r * n + n - 1."""
        self.cache.batch_repeat_interleave(n)
        return _State(self.cache, self.mask.repeat_interleave(n, 0), np.arange(len(self.rows) * n))

    def drop_finished(self, token: "torch.Tensor") -> "torch.Tensor":
        """Keep only the rows that go on; returns their tokens."""
        import torch

        keep = torch.from_numpy(np.flatnonzero(self.going)).to(token.device)
        self.cache.batch_select_indices(keep)
        self.mask = self.mask[keep]
        self.rows, self.going = self.rows[self.going], self.going[self.going]
        return token[keep]


def nucleus(probabilities: "Float[torch.Tensor, 'rows vocab']", top_p: float) -> "Float[torch.Tensor, 'rows vocab']":
    """Return the probabilities with 0 outside the nucleus, not normalised.

    The nucleus is the smallest set of the most probable tokens whose probabilities sum to at least `top_p`; of equally
    probable tokens the first in the vocabulary counts as the more probable (Holtzman et al. 2020, "The Curious Case of
    Neural Text Degeneration", section 3.1). The most probable token is always in it.
    """
    from torch.nn.functional import pad

    descending, order = probabilities.sort(dim=-1, descending=True, stable=True)
    outside = pad(descending.cumsum(-1)[:, :-1], (1, 0)) >= top_p  # of a token: what the more probable ones sum to
    return probabilities.masked_fill(outside.gather(-1, order.argsort(-1)), 0.0)
