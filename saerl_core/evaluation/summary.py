"""The report of an evaluation: headline values with paired gains, what it cost, what was left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from saerl_core.evaluation.estimators import mean_and_stderr, mean_of_estimates
from saerl_core.evaluation.sets import EvalSet, Outcome
from saerl_core.records import EvaluationReport

Estimates = dict[str, tuple[float, float]]  # name of a value -> mean and standard error


@dataclass(frozen=True)
class Spent:
    """Tokens that the policies have written and read."""

    n_generated_tokens: int = 0
    n_prefill_tokens: int = 0

    def plus(self, n_generated: int, n_prefill: int) -> "Spent":
        """Return the sum."""
        return Spent(self.n_generated_tokens + n_generated, self.n_prefill_tokens + n_prefill)


def summarise(outcomes: Sequence[Outcome], ks: Iterable[int], spent: Spent, unknown: str) -> EvaluationReport:
    """Return the report; of benchmarks every value stands as `<name>/<value>` too, and without a name their mean.

    `gain_*` is after minus before; its standard error is that of the differences per prompt.
    """
    sets = list({o.eval_set.name: o.eval_set for o in outcomes}.values())
    each = [_estimates([o for o in outcomes if o.eval_set is s], s, ks) for s in sets]
    shared = [name for name in each[0] if all(name in estimates for estimates in each)]
    values: dict[str, float] = {"n_prompts": float(sum(len(s.items) for s in sets))}
    _put(values, {name: mean_of_estimates([e[name] for e in each]) for name in shared})
    values |= _shares(outcomes)
    for eval_set, estimates in zip(sets, each, strict=True):
        if eval_set.is_benchmark:
            own: dict[str, float] = {"n_prompts": float(len(eval_set.items))}
            _put(own, estimates)
            own |= _shares([o for o in outcomes if o.eval_set is eval_set])
            values |= {f"{eval_set.name}/{name}": value for name, value in own.items()}
    return EvaluationReport(
        stage="evaluation",
        n_rollouts=sum(o.n_rollouts for o in outcomes),
        n_generated_tokens=spent.n_generated_tokens,
        n_prefill_tokens=spent.n_prefill_tokens,
        notes=_notes(sets, unknown),
        values=values,
    )


def _estimates(outcomes: Sequence[Outcome], eval_set: EvalSet, ks: Iterable[int]) -> Estimates:
    metrics = [(f"pass_at_{k}", k) for k in eval_set.possible(ks)]
    if eval_set.is_benchmark:
        metrics.append((f"avg_at_{eval_set.n_samples}", 1))
    found: Estimates = {}
    for name, k in metrics:
        values = {o.policy: o.pass_at(k) for o in outcomes}
        found |= {f"{name}_{policy}": mean_and_stderr(each) for policy, each in values.items()}
        if {"before", "after"} <= set(values):
            found[f"gain_{name}"] = mean_and_stderr(values["after"] - values["before"])
    return found


def _put(values: dict[str, float], estimates: Estimates) -> None:
    """Add means and, where there are any, their standard errors."""
    for name, (mean, stderr) in estimates.items():
        values[name] = mean
        if np.isfinite(stderr):
            values[f"{name}_stderr"] = stderr


def _shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the shares of completions that were not gradable or cut, by policy and overall; mean rewards if any."""
    shares: dict[str, float] = {}
    for policy in dict.fromkeys(o.policy for o in outcomes):
        own = [o for o in outcomes if o.policy == policy]
        n = sum(o.n_rollouts for o in own)
        shares[f"unknown_frac_{policy}"] = sum(o.n_unknown for o in own) / n
        shares[f"truncated_frac_{policy}"] = sum(o.n_truncated for o in own) / n
        rewards = [o.sum_rewards for o in own if o.sum_rewards is not None]
        if rewards:
            shares[f"mean_reward_{policy}"] = sum(rewards) / n
    shares["unknown_frac"] = sum(o.n_unknown for o in outcomes) / sum(o.n_rollouts for o in outcomes)
    return shares


def _notes(sets: Sequence[EvalSet], unknown: str) -> tuple[str, ...]:
    notes = []
    for s in sets:
        what = f"benchmark '{s.name}'" if s.is_benchmark else "the split"
        if s.n_left_out:
            notes.append(f"{s.n_left_out} prompts of {what} are not usable and were not evaluated; their flags say why")
        if s.beyond_context:
            notes.append(f"{what}: {s.beyond_context}; they were not evaluated")
    if unknown:
        notes.append(f"completions that could not be graded count as not correct: {unknown}")
    return tuple(notes)
