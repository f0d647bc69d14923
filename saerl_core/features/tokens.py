"""Prompts as token ids, and batches of prompts of about the same length."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from saerl_core.errors import DataError
from saerl_core.policy.prompt_format import added_prefix

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

_CHUNK = 1024  # prompts tokenised in one call


@dataclass(frozen=True)
class TokenizedPrompts:
    """Token ids in the order of the table; the first `n_prefix` of each prompt were added by the tokenizer (BOS)."""

    prompt_ids: tuple[str, ...]
    ids: tuple[Int[np.ndarray, " _"], ...]
    n_prefix: int
    n_truncated: int
    max_tokens: int = 0  # what is longer was cut here: the setting, or the model's context where that is shorter

    @property
    def lengths(self) -> Int[np.ndarray, " n"]:
        """Number of tokens of every prompt, prefix included."""
        return np.array([len(x) for x in self.ids], dtype=np.int64)

    @property
    def run_lengths(self) -> Int[np.ndarray, " n"]:
        """Number of tokens to run a model on: 0 where a prompt holds nothing but the prefix."""
        return np.where(self.lengths > self.n_prefix, self.lengths, 0)

    def take(self, rows: Int[np.ndarray, " taken"]) -> "TokenizedPrompts":
        """Return the given prompts in the given order."""
        ids = tuple(self.ids[i] for i in rows)
        return TokenizedPrompts(
            tuple(self.prompt_ids[i] for i in rows), ids, self.n_prefix, self.n_truncated, self.max_tokens
        )


def tokenize_prompts(
    prompts: "pd.DataFrame",
    tokenizer: "PreTrainedTokenizerBase",
    max_prompt_tokens: int,
    context_tokens: int | None = None,
) -> TokenizedPrompts:
    """Tokenise the column `prompt`; what is longer than `max_prompt_tokens` or the model's context loses its end.

    The prompts that were cut are counted.
    An EOS that the tokenizer would append is left out: rollouts never see one after the prompt.
    Raises `DataError` on an empty pool. About 4 bytes a token are held, less than the text itself.
    """
    if len(prompts) == 0:
        raise DataError("the pool holds 0 prompts; features need at least 1, see the issues table of load_prompts")
    prefix = added_prefix(tokenizer)
    longest = max_prompt_tokens if context_tokens is None else min(max_prompt_tokens, context_tokens)
    room = max(1, longest - len(prefix))
    texts = [str(t) for t in prompts["prompt"]]
    ids: list[Int[np.ndarray, " _"]] = []
    n_truncated = 0
    for start in range(0, len(texts), _CHUNK):
        encoded = tokenizer(texts[start : start + _CHUNK], add_special_tokens=False, verbose=False)["input_ids"]
        n_truncated += sum(len(x) > room for x in encoded)
        ids += [np.array(prefix + list(x[:room]), dtype=np.int32) for x in encoded]
    return TokenizedPrompts(tuple(str(p) for p in prompts["prompt_id"]), tuple(ids), len(prefix), n_truncated, longest)


def length_batches(lengths: Int[np.ndarray, " n"], batch_tokens: int) -> list[Int[np.ndarray, " _"]]:
    """Group prompts of similar length so that rows x longest row <= `batch_tokens` in every batch.

    The longest come first, so that a batch that does not fit into memory fails at once. A single prompt above the
    bound has a batch to itself. Prompts without tokens are in no batch.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    batches: list[Int[np.ndarray, " _"]] = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        stop = start + max(1, batch_tokens // longest)
        batches.append(order[start:stop])
        start = stop
    return batches
