"""How surprising the policy finds a prompt and its reference answer: its own negative log-likelihood of both.

The best single signal for bad prompts and a good prior of the pass rate: garbled and truncated prompts are unlikely
texts, and a wrong key is an unlikely answer. One forward pass a prompt, no rollout.
"""

from collections.abc import Sequence
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
from saerl_core.records import PolicyRef, StageReport
from saerl_core.shards import WHOLE, Shard, ShardResult, in_order, refuse_too_many
from saerl_core.tables import LIKELIHOOD

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int
    from transformers import PreTrainedTokenizerBase

STAGE = "measure_likelihoods"
_COLUMNS = [name for name in LIKELIHOOD.columns if name != "prompt_id"]
_LOGITS = 1 << 28  # numbers in one batch of logits: the memory bound where the vocabulary is large
_ANSWER_FORMS = {"task_world": "#{}", "exact": "{}", "python": "{}"}  # every other grader reads a box
_BOX = "\\boxed{{{}}}"


@dataclass(frozen=True)
class Likelihood:
    """`tables.LIKELIHOOD`, one row a prompt in the order of the pool, and what it cost."""

    table: pd.DataFrame
    n_prefill_tokens: int
    notes: tuple[str, ...] = ()

    def report(self) -> StageReport:
        """Return the record of the stage, without its seconds."""
        values = {"n_prompts": float(len(self.table))}
        return StageReport(stage="likelihoods", notes=self.notes, n_prefill_tokens=self.n_prefill_tokens, values=values)


NOT_READ = Likelihood(LIKELIHOOD.empty(), 0)  # of a pool whose difficulty has labels, where nothing else asks for it


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
    return merge_likelihoods(prompts, [likelihood_shard(prompts, policy, grading, features, WHOLE)])


def likelihood_shard(
    prompts: pd.DataFrame, policy: PolicyRef, grading: GradingConfig, features: FeaturesConfig, shard: Shard
) -> ShardResult:
    """Score the prompts in a shard of the batches that the whole pool makes, as `policy_likelihood` does.

    Raises:
        ConfigError: there are more shards than prompts.
        DataError: the pool is empty, or the policy gives values that are not finite.
    """
    if len(prompts) == 0:
        raise DataError("the pool holds 0 prompts; likelihoods need at least 1")
    refuse_too_many(shard.n, len(prompts), "shards.likelihoods", "the pool has")
    where = resolve_device(features.device)
    model, tokenizer = load_model(policy, device=where), load_tokenizer(policy)
    texts = _texts(prompts, policy, grading, tokenizer, context_tokens(model.config))
    batch_tokens = min(features.batch_tokens, max(1, _LOGITS // int(model.config.vocab_size)))
    rows, values = _scored(model, texts, shard.of(length_batches(texts.lengths, batch_tokens)), where)
    if shard.index == 1:  # what has no token is in no batch, and nothing surprises in it
        empty = np.flatnonzero(texts.lengths == 0)
        rows, values = np.concatenate([rows, empty]), np.vstack([values, np.zeros((len(empty), len(_COLUMNS)))])
    if not np.isfinite(values).all():
        bad = str(prompts["prompt_id"].iloc[int(rows[~np.isfinite(values).all(axis=1)].min())])
        raise DataError(f"the policy's likelihood of prompt {bad} is not finite; check the policy's weights")
    ids = tuple(str(prompt_id) for prompt_id in prompts["prompt_id"].iloc[rows])
    numbers = {"n_prefill": float(texts.lengths[rows].sum())}
    return ShardResult(STAGE, shard, {"values": values}, {"prompt_id": ids, "notes": texts.notes}, numbers)


def merge_likelihoods(prompts: pd.DataFrame, parts: Sequence[ShardResult]) -> Likelihood:
    """Put the shards together, in the order of the pool: what `policy_likelihood` returns.

    Raises:
        DataError: a shard is damaged, or the shards are not those of this pool.
    """
    parts = in_order(parts)
    found = pd.DataFrame(np.vstack([part.arrays["values"] for part in parts]), columns=_COLUMNS)
    found.insert(0, "prompt_id", [prompt_id for part in parts for prompt_id in part.texts["prompt_id"]])
    ids = prompts["prompt_id"].astype(str)
    if sorted(found["prompt_id"]) != sorted(ids):
        raise DataError(
            f"the {len(parts)} shards of likelihoods hold {len(found)} prompts, which are not the {len(ids)} of the "
            "pool; read the shards of this pool"
        )
    table = found.set_index("prompt_id").reindex(ids).reset_index()
    table["prompt_id"] = prompts["prompt_id"].to_numpy()
    n_prefill = int(sum(part.numbers["n_prefill"] for part in parts))
    return Likelihood(LIKELIHOOD.check(table), n_prefill, (*_division(parts), *parts[0].texts["notes"]))


def _division(parts: Sequence[ShardResult]) -> tuple[str, ...]:
    """Say in how many shards the pool was read, and how many of them had no batch; nothing of one shard."""
    if len(parts) == 1:
        return ()
    n_idle = sum(not part.texts["prompt_id"] for part in parts)
    idle = (
        f"{n_idle} of {len(parts)} shards had nothing to do: the pool makes only {len(parts) - n_idle} batches, and a "
        "batch is not divided."
    )
    told = f"Read in {len(parts)} shards; the seconds are those of all of them together."
    return (told, idle) if n_idle else (told,)


@dataclass(frozen=True)
class _Texts:
    """What the policy reads of every prompt, and how much of it is prompt."""

    rows: list[list[int]]
    n_prompt: list[int]
    notes: tuple[str, ...]

    @property
    def lengths(self) -> "Int[np.ndarray, ' n']":
        return np.array([len(row) for row in self.rows], dtype=np.int64)


def _texts(
    prompts: pd.DataFrame,
    policy: PolicyRef,
    grading: GradingConfig,
    tokenizer: "PreTrainedTokenizerBase",
    limit: int | None,
) -> _Texts:
    """Tokenise every prompt and its answer; `limit` is the policy's context in tokens."""
    before = prompt_tokens(tokenizer, [str(p) for p in prompts["prompt"]], policy.prompt_format)
    form = _ANSWER_FORMS.get(grading.kind, _BOX)
    texts = [form.format(str(a)) for a in prompts["answer"]]
    answers = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    cut = [_cut(p, a, limit) for p, a in zip(before, answers, strict=True)]
    n_cut = sum(len(c) < len(p) + len(a) for (c, _), p, a in zip(cut, before, answers, strict=True))
    return _Texts([row for row, _ in cut], [n for _, n in cut], _notes(n_cut, len(cut), limit))


def _scored(
    model: "torch.nn.Module", texts: _Texts, batches: "Sequence[Int[np.ndarray, ' _']]", device: str
) -> "tuple[Int[np.ndarray, ' k'], Float[np.ndarray, 'k 4']]":
    """Return the rows of the batches and, for each, the four values of `_summary`."""
    import torch

    rows = np.concatenate([np.zeros(0, dtype=np.int64), *batches])
    values: list[np.ndarray] = []
    with torch.inference_mode(), track(len(rows), "likelihood of prompts and answers", "prompt") as bar:
        for batch in batches:
            losses = _losses(model, [texts.rows[i] for i in batch], device)
            values += [
                _summary(loss[: len(texts.rows[i]) - 1], texts.n_prompt[i] - 1)
                for loss, i in zip(losses, batch, strict=True)
            ]
            bar.update(len(batch))
    return rows, np.array(values).reshape(len(rows), len(_COLUMNS))


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
