"""How long an update takes on the machine at hand: forward and backward passes, timed."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.records import PolicyRef

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ROWS = 8  # sequences of one forward and backward pass


def update_ms_per_token(policy: PolicyRef, pairs: Sequence[tuple[str, str]]) -> float:
    """Return milliseconds a token of forward and backward passes over prompts with their completions.

    Tokens of both are counted. The first batch is passed once more before the clock starts.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer, model = load_tokenizer(policy), load_model(policy, device=device)
    read = prompt_tokens(tokenizer, [prompt for prompt, _ in pairs], policy.prompt_format)
    written = [tokenizer(text, add_special_tokens=False)["input_ids"] for _, text in pairs]
    rows = [[*before, *after] for before, after in zip(read, written, strict=True)]
    batches = [rows[i : i + _ROWS] for i in range(0, len(rows), _ROWS)]
    _pass(model, batches[0])
    started = time.perf_counter()
    for batch in batches:
        _pass(model, batch)
    if device == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - started) / sum(map(len, rows))


def _pass(model: "PreTrainedModel", rows: Sequence[Sequence[int]]) -> None:
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    logprobs = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    (logprobs * mask[:, 1:]).sum().backward()
    model.zero_grad(set_to_none=True)
