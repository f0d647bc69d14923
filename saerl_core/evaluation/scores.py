"""Tables of an evaluation: scores with standard errors by benchmark, metric and slice, and every item's outcome."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool

from saerl_core.config.run import MEAN_BENCHMARK
from saerl_core.evaluation.estimators import mean_and_stderr, mean_of_estimates
from saerl_core.evaluation.sets import Outcome
from saerl_core.tables import ITEM_SCORES, SCORES

Row = dict[str, str | int | float]


def scores(outcomes: Sequence[Outcome], ks: Iterable[int]) -> pd.DataFrame:
    """Return `tables.SCORES`; over several benchmarks also their unweighted mean, as a benchmark of that name.

    avg@k is the mean accuracy over all k samples a prompt of a benchmark: by its formula the same as pass@1 estimated
    from them, and it stands there under the name that papers use. Held-out splits have none. The mean holds the metrics
    that all benchmarks have.
    """
    rows = [row for outcome in outcomes for row in _rows(outcome, ks)]
    return SCORES.check(pd.DataFrame([*rows, *_mean_rows(outcomes, rows)]))


def item_scores(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return `tables.ITEM_SCORES`."""
    tables = [
        o.eval_set.items[["prompt_id", "topic", "level"]].assign(
            policy=o.policy, benchmark=o.eval_set.name, n_samples=o.eval_set.n_samples, n_correct=o.n_correct
        )
        for o in outcomes
    ]
    return ITEM_SCORES.check(pd.concat(tables))


def _rows(outcome: Outcome, ks: Iterable[int]) -> list[Row]:
    eval_set = outcome.eval_set
    metrics = [(f"pass@{k}", k, outcome.pass_at(k)) for k in eval_set.possible(ks)]
    if eval_set.is_benchmark:
        metrics.append((f"avg@{eval_set.n_samples}", eval_set.n_samples, outcome.pass_at(1)))
    rows: list[Row] = []
    for metric, k, values in metrics:
        for name, member in _slices(eval_set.items).items():
            value, stderr = mean_and_stderr(values[member])
            rows.append(
                {
                    "policy": outcome.policy,
                    "benchmark": eval_set.name,
                    "slice": name,
                    "metric": metric,
                    "k": k,
                    "value": value,
                    "stderr": stderr,
                    "n_prompts": int(member.sum()),
                }
            )
    return rows


def _mean_rows(outcomes: Sequence[Outcome], rows: Sequence[Row]) -> list[Row]:
    n_sets = len({o.eval_set.name for o in outcomes})
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["slice"] == "all":
            found[str(row["policy"]), str(row["metric"])].append(row)
    means: list[Row] = []
    for same in found.values():
        if len(same) != n_sets or n_sets == 1:
            continue
        value, stderr = mean_of_estimates([(float(r["value"]), float(r["stderr"])) for r in same])
        n = sum(int(r["n_prompts"]) for r in same)
        means.append({**same[0], "benchmark": MEAN_BENCHMARK, "value": value, "stderr": stderr, "n_prompts": n})
    return means


def _slices(items: pd.DataFrame) -> dict[str, Bool[np.ndarray, " n"]]:
    """Return the members of every slice, as a mask over the items; items without a topic or level are in "all" only."""
    slices = {"all": np.ones(len(items), dtype=bool)}
    for topic in sorted(items["topic"].dropna().unique()):
        slices[f"topic={topic}"] = (items["topic"] == topic).to_numpy()
    for level in sorted(items["level"].dropna().unique()):
        slices[f"level={level:g}"] = (items["level"] == level).to_numpy()
    return slices
