"""Held-out scores of a policy before and after training, on the same items with the same random numbers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int

from saerl_core.config import EvaluationConfig, GradingConfig
from saerl_core.errors import DataError
from saerl_core.evaluation.estimators import mean_and_stderr, pass_at_k
from saerl_core.records import EvaluationReport, PolicyRef
from saerl_core.rollouts.grading import Grader
from saerl_core.rollouts.sampler import Sampler
from saerl_core.seeds import stage_seed
from saerl_core.tables import ITEM_SCORES, SCORES


@dataclass(frozen=True)
class _Run:
    """One policy's completions, graded: an unknown verdict is not correct, and counted."""

    name: str  # before, after
    n_correct: Int[np.ndarray, " n"]
    n_unknown: int
    n_truncated: int
    n_generated_tokens: int
    n_prefill_tokens: int


def evaluate_policies(
    before: PolicyRef,
    after: PolicyRef | None,
    prompts: pd.DataFrame,
    config: EvaluationConfig,
    grading: GradingConfig,
    seed: int,
    *,
    device: str = "auto",
) -> tuple[pd.DataFrame, pd.DataFrame, EvaluationReport]:
    """Score both policies on the usable prompts: `tables.SCORES`, `ITEM_SCORES`, the report with the paired gain.

    Slices are "all", "topic=..." and "level=..."; pass@1 is always among the metrics. Both policies answer the same
    prompts with the same random numbers, and the gain's standard error is that of the differences per prompt.

    Raises:
        DataError: there is no usable prompt.
        ConfigError: `config` asks for a pass@k that its samples cannot give.
    """
    ks = sorted({1, *config.ks})
    for k in ks:
        pass_at_k(config.n_samples, np.zeros(1, dtype=np.int64), k)  # refuse a k that is too large before any work
    items = prompts[prompts["usable"]].sort_values("prompt_id") if len(prompts) else prompts
    if items.empty:
        raise DataError(
            f"the split '{config.split}' has no usable prompt to evaluate on ({len(prompts)} rows); "
            "give a larger split or another prompts.eval_path, or set evaluation.enabled to false"
        )
    named = [("before", before)] + ([("after", after)] if after is not None else [])
    with Grader(grading) as grader:
        runs = [_run(name, policy, items, config, grader, seed, device) for name, policy in named]
        unknown = grader.unknown_reasons()
    table = SCORES.check(pd.DataFrame([row for run in runs for row in _rows(run, items, config, ks)]))
    per_item = ITEM_SCORES.check(pd.concat([_item_rows(run, items, config) for run in runs]))
    return table, per_item, _report(runs, config, ks, len(prompts) - len(items), unknown)


def _run(
    name: str, policy: PolicyRef, items: pd.DataFrame, config: EvaluationConfig, grader: Grader, seed: int, device: str
) -> _Run:
    sampler = Sampler(
        policy,
        temperature=config.temperature,
        max_completion_tokens=config.max_completion_tokens,
        seed=stage_seed(seed, "evaluation"),
        device=device,
    )
    completions = sampler.sample([str(p) for p in items["prompt"]], config.n_samples, desc=f"evaluating {name}")
    verdicts = grader.grade(
        [c.text for group in completions for c in group],
        [str(a) for a in items["answer"] for _ in range(config.n_samples)],
    )
    correct = np.array([v.correct is True for v in verdicts]).reshape(len(items), config.n_samples)
    return _Run(
        name=name,
        n_correct=correct.sum(axis=1),
        n_unknown=sum(v.correct is None for v in verdicts),
        n_truncated=sum(c.truncated for group in completions for c in group),
        n_generated_tokens=sampler.n_generated_tokens,
        n_prefill_tokens=sampler.n_prefill_tokens,
    )


def _rows(run: _Run, items: pd.DataFrame, config: EvaluationConfig, ks: list[int]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for k in ks:
        scores = pass_at_k(config.n_samples, run.n_correct, k)
        for name, member in _slices(items).items():
            value, stderr = mean_and_stderr(scores[member])
            rows.append(
                {
                    "policy": run.name,
                    "benchmark": config.split,
                    "slice": name,
                    "metric": f"pass@{k}",
                    "k": k,
                    "value": value,
                    "stderr": stderr,
                    "n_prompts": int(member.sum()),
                }
            )
    return rows


def _item_rows(run: _Run, items: pd.DataFrame, config: EvaluationConfig) -> pd.DataFrame:
    return items[["prompt_id", "topic", "level"]].assign(
        policy=run.name, benchmark=config.split, n_samples=config.n_samples, n_correct=run.n_correct
    )


def _slices(items: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the members of every slice, as a mask over the items; items without a topic or level are in "all" only."""
    slices = {"all": np.ones(len(items), dtype=bool)}
    for topic in sorted(items["topic"].dropna().unique()):
        slices[f"topic={topic}"] = (items["topic"] == topic).to_numpy()
    for level in sorted(items["level"].dropna().unique()):
        slices[f"level={level:g}"] = (items["level"] == level).to_numpy()
    return slices


def _report(
    runs: list[_Run], config: EvaluationConfig, ks: list[int], n_left_out: int, unknown: dict[str, int]
) -> EvaluationReport:
    n = len(runs[0].n_correct)
    n_rollouts = n * config.n_samples * len(runs)
    values: dict[str, float] = {"n_prompts": n}
    for k in ks:
        scores = {run.name: pass_at_k(config.n_samples, run.n_correct, k) for run in runs}
        for name, each in scores.items():
            _put(values, f"pass_at_{k}_{name}", each)
        if len(runs) > 1:
            _put(values, f"gain_pass_at_{k}", scores["after"] - scores["before"])
    for run in runs:
        values[f"unknown_frac_{run.name}"] = run.n_unknown / (n * config.n_samples)
        values[f"truncated_frac_{run.name}"] = run.n_truncated / (n * config.n_samples)
    values["unknown_frac"] = sum(run.n_unknown for run in runs) / n_rollouts
    notes = []
    if n_left_out:
        notes.append(f"{n_left_out} prompts of the split are not usable and were not evaluated; their flags say why")
    if unknown:
        told = ", ".join(f"{count} x {reason}" for reason, count in sorted(unknown.items()))
        notes.append(f"completions that could not be graded count as not correct: {told}")
    return EvaluationReport(
        stage="evaluation",
        n_rollouts=n_rollouts,
        n_generated_tokens=sum(run.n_generated_tokens for run in runs),
        n_prefill_tokens=sum(run.n_prefill_tokens for run in runs),
        notes=tuple(notes),
        values=values,
    )


def _put(values: dict[str, float], name: str, scores: Float64[np.ndarray, " n"]) -> None:
    """Add a mean over prompts and, where there is one, its standard error."""
    values[name], stderr = mean_and_stderr(scores)
    if np.isfinite(stderr):
        values[f"{name}_stderr"] = stderr
