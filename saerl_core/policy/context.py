"""How long a text a model can read: positions it was built for, and prompts that are longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from saerl_core.policy.loading import load_tokenizer, read_config
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.records import PolicyRef, PromptFormat

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

FLAG = "beyond_context"  # of a prompt that the policy cannot read and answer
_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length")
_UNBOUNDED = 10**9  # configurations without a limit hold a sentinel above it
_BYTES_A_TOKEN = 0.5  # fewer bytes than that make no token: shorter texts need not be tokenised to know that they fit


@dataclass(frozen=True)
class Marked:
    """A pool in which the prompts beyond the context are flagged and not usable, and the sentence about them."""

    prompts: pd.DataFrame  # tables.PROMPTS
    note: str | None


def context_tokens(config: "PretrainedConfig") -> int | None:
    """Return the number of positions of a model, or None where its configuration names no bound."""
    text = config.get_text_config()
    for name in _NAMES:
        value = getattr(text, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _UNBOUNDED:
            return value
    return None


def attention_heads(config: "PretrainedConfig") -> tuple[int | None, int | None]:
    """Return how many attention heads a model has and their dimensions; None: its configuration does not say."""
    text = config.get_text_config()
    heads, size = getattr(text, "num_attention_heads", None), getattr(text, "head_dim", None)
    width = getattr(text, "hidden_size", None)
    return heads, size or (width // heads if heads and width else None)


def fitting(
    prompts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", fmt: PromptFormat, room_tokens: int
) -> list[bool]:
    """Return for every prompt whether it has at most `room_tokens` tokens in the policy's format.

    Only texts that are long enough to be in doubt are tokenised.
    """
    if not prompts:
        return []
    frame = len(prompt_tokens(tokenizer, ["x"], fmt)[0])
    doubtful = [
        i for i, p in enumerate(prompts) if len(p.encode(errors="replace")) / _BYTES_A_TOKEN + frame > room_tokens
    ]
    fits = [True] * len(prompts)
    lengths = [len(row) for row in prompt_tokens(tokenizer, [prompts[i] for i in doubtful], fmt)]
    for i, length in zip(doubtful, lengths, strict=True):
        fits[i] = length <= room_tokens
    return fits


def mark_beyond_context(prompts: pd.DataFrame, policy: PolicyRef, n_completion_tokens: int | None) -> Marked:
    """Flag the prompts that leave no room for a completion in the policy's context; no weights are read.

    Such a prompt gets the flag `beyond_context` and is not usable: rollouts, training and evaluation cannot read it.
    None marks nothing: nobody will answer with this policy.
    """
    if n_completion_tokens is None:
        return Marked(prompts, None)
    limit = read_config(policy, context_tokens)
    if limit is None or prompts.empty:
        return Marked(prompts, None)
    room = limit - n_completion_tokens
    fits = fitting([str(p) for p in prompts["prompt"]], load_tokenizer(policy), policy.prompt_format, room)
    if all(fits):
        return Marked(prompts, None)
    out = ~pd.Series(fits, index=prompts.index)
    flags = prompts["flags"].where(~out, [f"{f},{FLAG}" if f else FLAG for f in prompts["flags"].astype(str)])
    note = beyond_note(sorted(prompts.loc[out, "prompt_id"].astype(str)), len(prompts), limit, n_completion_tokens)
    return Marked(prompts.assign(flags=flags, usable=prompts["usable"] & ~out), f"{note}; the plan leaves them out")


def beyond_note(left_out: Sequence[str], n: int, limit: int, n_completion_tokens: int) -> str:
    """Say how many prompts do not fit, with an example and the bound; no full stop."""
    bound = f"{limit} tokens" + (f" less {n_completion_tokens} for the completion" if n_completion_tokens else "")
    return f"{len(left_out)} of {n} prompts are longer than the policy's context ({bound}), e.g. {left_out[0]}"
