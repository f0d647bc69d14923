"""How surprising the policy finds a prompt and its reference answer: its own negative log-likelihood of both.

The best single signal for bad prompts and a good prior of the pass rate: garbled and truncated prompts are unlikely
texts, and a wrong key is an unlikely answer. One forward pass a prompt, no rollout.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from saerl_core.config.run import FeaturesConfig, GradingConfig
from saerl_core.errors import DataError
from saerl_core.features.models import resolve_device
from saerl_core.features.tokens import length_batches
from saerl_core.policy.context import context_tokens
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.progress import track
from saerl_core.records import PolicyRef
from saerl_core.tables import LIKELIHOOD

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

_LOGITS = 1 << 28  # numbers in one batch of logits: the memory bound where the vocabulary is large
_ANSWER_FORMS = {"task_world": "#{}", "exact": "{}", "python": "{}"}  # every other grader reads a box
_BOX = "\\boxed{{{}}}"


@dataclass(frozen=True)
class Likelihood:
    """`tables.LIKELIHOOD`, one row a prompt in the order of the pool, and what it cost."""

    table: pd.DataFrame
    n_prefill_tokens: int
    notes: tuple[str, ...] = ()


def policy_likelihood(
    prompts: pd.DataFrame, policy: PolicyRef, grading: GradingConfig, features: FeaturesConfig
) -> Likelihood:
    """Score every prompt and its reference answer with the policy; nats a token.

    The policy reads the prompt in its format, then the answer as the grader wants it to be written, without the
    solution before it, in the batches and on the device of the features. `prompt_nll_*` are over the prompt's tokens
    after the first, `answer_nll_*` over the answer's.

    Raises:
        DataError: the pool is empty, or the policy gives values that are not finite.
    """
    import torch

    if len(prompts) == 0:
        raise DataError("the pool holds 0 prompts; likelihoods need at least 1")
    where = resolve_device(features.device)
    model, tokenizer = load_model(policy, device=where), load_tokenizer(policy)
    before = prompt_tokens(tokenizer, [str(p) for p in prompts["prompt"]], policy.prompt_format)
    form = _ANSWER_FORMS.get(grading.kind, _BOX)
    texts = [form.format(str(a)) for a in prompts["answer"]]
    answers = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    limit = context_tokens(model.config)
    cut = [_cut(p, a, limit) for p, a in zip(before, answers, strict=True)]
    n_cut = sum(len(c) < len(p) + len(a) for (c, _), p, a in zip(cut, before, answers, strict=True))
    rows = [row for row, _ in cut]
    lengths = np.array([len(r) for r in rows], dtype=np.int64)
    batch_tokens = min(features.batch_tokens, max(1, _LOGITS // int(model.config.vocab_size)))
    values = np.zeros((len(rows), 4))
    with torch.inference_mode(), track(len(rows), "likelihood of prompts and answers", "prompt") as bar:
        for batch in length_batches(lengths, batch_tokens):
            losses = _losses(model, [rows[i] for i in batch], where)
            for place, i in enumerate(batch):
                values[i] = _summary(losses[place, : len(rows[i]) - 1], cut[i][1] - 1)
            bar.update(len(batch))
    if not np.isfinite(values).all():
        bad = str(prompts["prompt_id"].iloc[int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])])
        raise DataError(f"the policy's likelihood of prompt {bad} is not finite; check the policy's weights")
    columns = [name for name in LIKELIHOOD.columns if name != "prompt_id"]
    table = pd.DataFrame(values, columns=columns)
    table.insert(0, "prompt_id", prompts["prompt_id"].to_numpy())
    return Likelihood(LIKELIHOOD.check(table), int(lengths.sum()), _notes(n_cut, len(rows), limit))


def _notes(n_cut: int, n: int, limit: int | None) -> tuple[str, ...]:
    if n_cut == 0:
        return ()
    return (
        f"{n_cut} of {n} prompts are longer than the policy's context of {limit} tokens; their likelihood is that of "
        "the last tokens that fit",
    )


def _cut(prompt: list[int], answer: list[int], limit: int | None) -> tuple[list[int], int]:
    """Return what the model reads, and how much of it is prompt: the end of both where they are too long."""
    if limit is None or len(prompt) + len(answer) <= limit:
        return [*prompt, *answer], len(prompt)
    answer = answer[: limit - 1]  # one token of the prompt must stay: the answer's first is predicted from it
    kept = prompt[-(limit - len(answer)) :]
    return [*kept, *answer], len(kept)


def _losses(model: "torch.nn.Module", rows: list[list[int]], device: str) -> "Float[np.ndarray, 'batch seq1']":
    """Return the negative log-likelihood of every token after the first; padding is on the right and meaningless."""
    import torch

    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)], mask[at, : len(row)] = row, 1
    tokens = torch.from_numpy(ids).to(device)
    logits = model(input_ids=tokens, attention_mask=torch.from_numpy(mask).to(device), use_cache=False).logits
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
    )
    return np.asarray(losses.view(len(rows), -1).cpu().numpy(), dtype=np.float64)


def _summary(losses: "Float[np.ndarray, ' tokens']", n_prompt: int) -> "Float[np.ndarray, ' 4']":
    """Return mean and maximum over the prompt's tokens and over the answer's; a prompt of one token has none: 0."""
    prompt, answer = losses[:n_prompt], losses[n_prompt:]
    ofs = [(float(part.mean()), float(part.max())) if len(part) else (0.0, 0.0) for part in (prompt, answer)]
    return np.array([value for pair in ofs for value in pair])
