"""Labels in parts: the rollouts of one shard of the labelled subset, and all of them merged."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saerl_core.config.run import GradingConfig, PassRatesConfig
from saerl_core.records import PassRatesReport
from saerl_core.rollouts.completions import Completion
from saerl_core.rollouts.grading import Grader, Verdict
from saerl_core.rollouts.measure import Group, Tried, labels_of
from saerl_core.shards import Shard, ShardResult, in_order

STAGE = "measure_pass_rates"
_CORRECT = {None: -1, False: 0, True: 1}
_VERDICT = {code: correct for correct, code in _CORRECT.items()}


def shard_of(tried: Tried, config: PassRatesConfig, shard: Shard) -> ShardResult:
    """Return what `try_out` made of a shard of the labelled subset as arrays and texts, for `merge_labels`."""
    completions = [c for group in tried.groups for c in group.completions]
    verdicts = [v for group in tried.groups for v in group.verdicts]
    reasons = sorted({v.reason for v in verdicts})
    failing = [i for i, v in enumerate(verdicts) if v.failure][:1]
    arrays = {
        "n_tokens": np.array([c.n_tokens for c in completions], dtype=np.int64),
        "truncated": np.array([c.truncated for c in completions], dtype=bool),
        "correct": np.array([_CORRECT[v.correct] for v in verdicts], dtype=np.int8),
        "score": np.array([np.nan if v.score is None else v.score for v in verdicts], dtype=np.float64),
        "reason": np.array([reasons.index(v.reason) for v in verdicts], dtype=np.int64),
    }
    texts = {
        "prompt_id": tuple(group.prompt_id for group in tried.groups),
        "reasons": tuple(reasons),
        "engine": (tried.engine,),
        "beyond": tried.beyond,
        "failed_prompt": tuple(tried.groups[i // config.n_rollouts].prompt_id for i in failing),
        "failure": tuple(verdicts[i].failure for i in failing),
    }
    numbers = {"n_prefill": float(tried.n_prefill_tokens), "n_generated": float(tried.n_generated_tokens)}
    return ShardResult(STAGE, shard, arrays, texts, numbers)


def merge_labels(
    parts: Sequence[ShardResult], config: PassRatesConfig, grading: GradingConfig
) -> tuple[pd.DataFrame, PassRatesReport]:
    """Put the shards together: what `measure_pass_rates` returns without shards.

    Raises:
        DataError: the shards are not parts of one pool, or no completion at all could be graded.
        BackendError: a user's reward function failed on more than half of the completions.
    """
    parts = in_order(parts)
    groups = sorted((g for part in parts for g in _groups(part, config.n_rollouts)), key=lambda g: g.prompt_id)
    grader = Grader(grading)
    grader.reasons.update(v.reason for group in groups for v in group.verdicts)
    failures = [(*part.texts["failed_prompt"], *part.texts["failure"]) for part in parts if part.texts["failure"]]
    grader.first_failure = min(failures)[1] if failures else ""
    grader.refuse_mostly_failed()
    n_prefill, n_generated = (int(sum(part.numbers[name] for part in parts)) for name in ("n_prefill", "n_generated"))
    first = parts[0].texts
    table, report = labels_of(
        Tried(groups, grader, first["engine"][0], n_prefill, n_generated, first["beyond"]), config
    )
    notes = [f"Measured in {len(parts)} shards; the seconds are those of all of them together."]
    n_idle = sum(not part.texts["prompt_id"] for part in parts)
    if n_idle:
        notes.append(f"{n_idle} of {len(parts)} shards had nothing to do: a batch of completions is not divided.")
    return table, report.model_copy(update={"notes": (*notes, *report.notes)})


def _groups(part: ShardResult, n: int) -> list[Group]:
    """Return the groups of a shard; what was said is not kept, only how long it was and how it was judged."""
    arrays = {name: array.tolist() for name, array in part.arrays.items()}
    completions = [Completion("", *of) for of in zip(arrays["n_tokens"], arrays["truncated"], strict=True)]
    verdicts = [
        Verdict(_VERDICT[correct], part.texts["reasons"][reason], score=None if np.isnan(score) else score)
        for correct, reason, score in zip(arrays["correct"], arrays["reason"], arrays["score"], strict=True)
    ]
    return [
        Group(prompt_id, completions[i * n : (i + 1) * n], verdicts[i * n : (i + 1) * n])
        for i, prompt_id in enumerate(part.texts["prompt_id"])
    ]
