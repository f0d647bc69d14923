"""Held-out scores of a policy before and after training, on the same items with the same random numbers."""

import numpy as np
import pandas as pd

from saerl_core.config.rollouts import OWN_SAMPLER, RolloutsConfig
from saerl_core.config.run import EvaluationConfig, GradingConfig
from saerl_core.evaluation.scores import item_scores, scores
from saerl_core.evaluation.sets import EvalSet, Outcome, eval_sets
from saerl_core.evaluation.summary import Spent, summarise
from saerl_core.policy.context import beyond_note
from saerl_core.records import EvaluationReport, PolicyRef
from saerl_core.rollouts.completions import CompletionSampler
from saerl_core.rollouts.engines import Sampling, make_sampler
from saerl_core.rollouts.grading import Grader
from saerl_core.seeds import stage_seed


def evaluate_policies(  # noqa: PLR0913 (two policies, what they answer, and how it is sampled and judged)
    before: PolicyRef,
    after: PolicyRef | None,
    prompts: pd.DataFrame,
    config: EvaluationConfig,
    grading: GradingConfig,
    seed: int,
    *,
    benchmarks: pd.DataFrame | None = None,
    name: str = "before",
    rollouts: RolloutsConfig = OWN_SAMPLER,
) -> tuple[pd.DataFrame, pd.DataFrame, EvaluationReport]:
    """Score both policies on the usable prompts: `tables.SCORES`, `ITEM_SCORES`, the report with the paired gain.

    Evaluated are the benchmarks of `config`, whose prompts are in `benchmarks` (`tables.BENCHMARKS`), or `prompts`, the
    held-out split, where it names none. Slices are "all", "topic=..." and "level=..."; pass@1 is always among the
    metrics. Both policies answer the same prompts with the same random numbers, and the gain's standard error is that
    of the differences per prompt. Several benchmarks count alike in the mean over them, however many prompts they have.
    The first policy stands in the tables under `name`: a policy that is scored on its own, later, is scored on the same
    prompts with the same random numbers as those before it.

    Raises:
        DataError: there is no usable prompt.
        ConfigError: `config` asks for a pass@k that its samples cannot give.
        BackendError: a user's reward function failed on more than half of the completions.
    """
    sets = eval_sets(prompts, benchmarks, config)
    outcomes: list[Outcome] = []
    spent, engine = Spent(), ""
    with Grader(grading) as grader:
        for called, policy in ((name, before), ("after", after)):
            if policy is None:
                continue
            how = Sampling(
                config.temperature, config.max_completion_tokens, stage_seed(seed, "evaluation"), config.top_p
            )
            sampler = make_sampler(policy, how, rollouts)
            engine = sampler.engine
            if not outcomes:  # both policies answer the same prompts: those that the first can read
                sets = [_readable(each, sampler) for each in sets]
            outcomes += [_outcome(called, sampler, grader, each) for each in sets]
            spent = spent.plus(sampler.n_generated_tokens, sampler.n_prefill_tokens)
        grader.refuse_mostly_failed()
        unknown = grader.unknown_told() if grader.n_unknown else ""
    report = summarise(outcomes, config.ks, spent, unknown)
    if engine:
        report = report.model_copy(update={"notes": (f"sampled by {engine}", *report.notes)})
    return scores(outcomes, config.ks), item_scores(outcomes), report


def _readable(eval_set: EvalSet, sampler: CompletionSampler) -> EvalSet:
    """Return the set without the prompts that are longer than the policy's context."""
    fits = np.array(sampler.fitting([str(p) for p in eval_set.items["prompt"]]), dtype=bool)
    if fits.all():
        return eval_set
    left_out = sorted(eval_set.items.loc[~fits, "prompt_id"].astype(str))
    limit = sampler.context_tokens or 0
    return eval_set.without(fits, beyond_note(left_out, len(fits), limit, sampler.max_completion_tokens))


def _outcome(policy: str, sampler: CompletionSampler, grader: Grader, eval_set: EvalSet) -> Outcome:
    items, n = eval_set.items, eval_set.n_samples
    what = f"evaluating {policy}" + (f" on {eval_set.name}" if eval_set.is_benchmark else "")
    completions = sampler.sample([str(p) for p in items["prompt"]], n, desc=what)
    verdicts = grader.grade(
        [c.text for group in completions for c in group], [str(a) for a in items["answer"] for _ in range(n)]
    )
    correct = np.array([v.correct is True for v in verdicts]).reshape(len(items), n)
    return Outcome(
        policy=policy,
        eval_set=eval_set,
        n_correct=correct.sum(axis=1),
        n_unknown=sum(v.correct is None for v in verdicts),
        n_truncated=sum(c.truncated for group in completions for c in group),
        sum_rewards=sum(v.reward for v in verdicts) if grader.config.kind == "python" else None,
    )
