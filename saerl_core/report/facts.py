"""What the page and the closing lines of the CLI both say: the gain, the proof of the order, the cost by purpose."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from saerl_core.config.run import MEAN_BENCHMARK
from saerl_core.plans import OnlinePlan
from saerl_core.probe_rows import FEW_ROWS, ProbeRow
from saerl_core.report import numbers
from saerl_core.report.inputs import ReportInputs
from saerl_core.stages import PURPOSES, purpose_of

FEATURE_NAMES = {
    "sae": "SAE features",
    "dense": "dense activations",
    "random_sae": "frozen random SAE",
    "tfidf": "TF-IDF of the text",
    "length": "length only",
    "mean": "mean label (floor)",
}
METRIC_NAMES = {
    "spearman": "Spearman",
    "spearman_within": "Spearman inside clusters",
    "auc": "AUC",
    "pearson_r": "Pearson r",
    "r2": "R²",
    "mae": "MAE",
}
LABEL_NAMES = {  # of the difficulty labels, as they stand after "the"
    "pass_rate": "measured pass rate",
    "level": "data's own level",
    "known_pass_rate": "pass rate that came with the data",
    "likelihood": "policy's likelihood of the answer",
    "none": "middle: there is no label",
}


@dataclass(frozen=True)
class Gain:
    """Held-out score before and after training, as shares; `is_paired`: the error is that of paired differences."""

    metric: str
    before: float
    after: float
    stderr: float
    n_prompts: int
    is_paired: bool

    @property
    def gain(self) -> float:
        """Difference after minus before."""
        return self.after - self.before

    @property
    def is_clear(self) -> bool:
        """Tell whether the difference is at least two standard errors from nothing."""
        return math.isfinite(self.stderr) and abs(self.gain) >= 2 * self.stderr


@dataclass(frozen=True)
class OrderProof:
    """Batches trained compared with batches planned."""

    n_planned: int
    n_trained: int
    n_identical: int
    first_difference: int | None  # step

    @property
    def holds(self) -> bool:
        """Tell whether every trained batch is the planned one, and all were trained."""
        return self.n_identical == self.n_planned == self.n_trained


def gain_of(inputs: ReportInputs) -> Gain | None:
    """Return the headline gain in pass@1, of the mean over several benchmarks; None where nothing was compared."""
    scores = inputs.scores
    if scores is None or scores.empty:
        return None
    rows = scores[(scores["slice"] == "all") & (scores["metric"] == "pass@1")].sort_values("benchmark", kind="stable")
    means = rows["benchmark"] == MEAN_BENCHMARK
    rows = rows[means] if means.any() else rows
    metric = f"mean pass@1 over {scores['benchmark'].nunique() - 1} benchmarks" if means.any() else "pass@1"
    found = rows.drop_duplicates("policy").set_index("policy").to_dict("index")
    if not {"before", "after"} <= set(found):
        return None
    before, after = found["before"], found["after"]
    values = inputs.evaluation_report.values if inputs.evaluation_report else {}
    stderr = values.get("gain_pass_at_1_stderr", math.nan)
    is_paired = math.isfinite(stderr)
    if not is_paired:
        stderr = math.hypot(before["stderr"], after["stderr"])
    return Gain(metric, before["value"], after["value"], stderr, int(after["n_prompts"]), is_paired)


def gain_sentence(gain: Gain) -> str:
    """Say in one honest sentence what training bought, with its error."""
    kind = "paired standard error" if gain.is_paired else "unpaired standard error"
    before, after = numbers.percent(gain.before), numbers.percent(gain.after)
    verb = "rose" if gain.gain > 0 else "fell"
    moved = f"{verb} from {before} to {after}" if gain.gain else f"stayed at {after}"
    sentence = (
        f"On {numbers.count(gain.n_prompts)} held-out prompts, {gain.metric} {moved}: "
        f"{numbers.points(gain.gain)} points "
        f"(± {numbers.fixed(100 * gain.stderr, 1)}, {kind})."
    )
    if not gain.is_clear:
        sentence += " That is less than two standard errors: it cannot be told from no change."
    return sentence


def comparison_advice(inputs: ReportInputs) -> str:
    """Say what the headline does not show, and where to look for it."""
    if inputs.control is not None:
        return (
            "Strategy and shuffle were trained with the same seed on the same signals; the intervals cover the choice "
            "of held-out prompts, not the luck of the seed: saerl compare trains several."
        )
    other = "a saerl run" if inputs.plan.strategy == "vanilla" else "a vanilla run"
    return (
        f"This compares before and after one run, not strategies: compare with {other} in MLflow, over several "
        "training seeds. The error covers the choice of held-out prompts, not the luck of the seed."
    )


def order_proof(inputs: ReportInputs) -> OrderProof | None:
    """Compare the consumed batches with the planned ones, slot by slot; None where nothing was trained.

    An online plan's own table is filled from what was consumed and proves nothing: there the plan is what the
    curriculum handed out.
    """
    if inputs.training is None:
        return None
    planned = _batches(inputs.training.handed_out if isinstance(inputs.plan, OnlinePlan) else inputs.plan.table)
    trained = _batches(inputs.training.consumed)
    same = [step for step, batch in trained.items() if planned.get(step) == batch]
    differing = sorted(set(trained) - set(same) | (set(planned) - set(trained)))
    return OrderProof(len(planned), len(trained), len(same), differing[0] if differing else None)


def order_sentence(proof: OrderProof) -> str:
    """Say whether the planned order was trained."""
    if proof.holds:
        return f"Planned order was trained: {proof.n_identical:,} of {proof.n_planned:,} batches identical."
    return (
        f"The planned order was NOT trained as planned: {proof.n_identical:,} of {proof.n_planned:,} planned batches "
        f"identical ({proof.n_trained:,} trained), first difference at step {proof.first_difference}."
    )


def cost_by_purpose(costs: pd.DataFrame) -> pd.DataFrame:
    """Return seconds, rollouts and tokens by purpose (index `PURPOSES`); an unknown stage counts as selection."""
    purpose = [purpose_of(str(s)) for s in costs["stage"]]
    columns = ["seconds", "n_rollouts", "n_generated_tokens", "n_prefill_tokens"]
    return costs[columns].groupby(purpose).sum().reindex(list(PURPOSES), fill_value=0)


def selection_share(costs: pd.DataFrame, column: str) -> float:
    """Return selection / (selection + training) of a cost column; NaN where neither cost anything."""
    by_purpose = cost_by_purpose(costs)[column]
    spent = float(by_purpose["selection"] + by_purpose["training"])
    return float(by_purpose["selection"]) / spent if spent else math.nan


def sae_verdict(
    table: tuple[ProbeRow, ...], values: Mapping[str, float], metric: str, *, prefix: str = ""
) -> str | None:
    """Answer "does the SAE matter here?" for one metric; None where the SAE or every baseline is missing.

    The paired interval `<prefix><metric>_gain_lo`, `_hi` of the report decides. Without one a rough margin does, two
    standard errors of a single estimate: 2 / sqrt(n) for a correlation, 2 / sqrt(3n) for an AUC (no signal, classes of
    equal size); rows that share folds differ by less, so it errs on the careful side.
    """
    scores = {r.features: r.scores.get(metric, math.nan) for r in table if r.features != "mean"}
    own = scores.pop("sae", math.nan)
    rivals = {k: v for k, v in scores.items() if math.isfinite(v)}
    if not rivals or not math.isfinite(own):
        return None
    best = max(rivals, key=lambda k: rivals[k])
    low, high = (values.get(f"{prefix}{metric}_gain_{end}", math.nan) for end in ("lo", "hi"))
    if math.isfinite(low) and math.isfinite(high):
        why = f"95 % interval of the difference {numbers.fixed(low, 3)} to {numbers.fixed(high, 3)}"
    else:
        n = max(r.n for r in table)
        margin = 2 / math.sqrt(3 * n if metric == "auc" else n) if n else math.inf
        low, high = own - rivals[best] - margin, own - rivals[best] + margin
        why = f"with n = {n:,} a difference below about {margin:.2f} can be chance"
    name = FEATURE_NAMES.get(best, best)
    verdict = "beats" if low > 0 else "is worse than" if high < 0 else "cannot be told from"
    n_rows = max(r.n for r in table)
    against = (
        f"{METRIC_NAMES.get(metric, metric)} {numbers.fixed(own)} against {numbers.fixed(rivals[best])}, n = {n_rows:,}"
    )
    return f"the SAE {verdict} the best baseline, {name} ({against}; {why})."


def sae_verdicts(inputs: ReportInputs) -> list[str]:
    """Return one sentence a probe on whether the SAE matters; held-out rows speak first where there are 100 of them."""
    quality, difficulty = inputs.quality_report, inputs.difficulty_report
    metric = next((m for m in ("auc", "spearman", "pearson_r") if any(m in r.scores for r in quality.table)), "auc")
    held_out = (
        "For difficulty, on rows it never saw, ",
        difficulty.held_out_table,
        difficulty.values,
        "spearman",
        "held_out_",
    )
    out_of_fold = ("For difficulty, out of fold, ", difficulty.table, difficulty.values, "spearman", "")
    few = max((row.n for row in difficulty.held_out_table), default=0) < FEW_ROWS
    found = [
        *((out_of_fold, held_out) if few else (held_out, out_of_fold)),
        ("For quality, out of fold, ", quality.table, quality.values, metric, ""),
    ]
    verdicts = [(start, sae_verdict(table, values, m, prefix=p)) for start, table, values, m, p in found]
    return [start + verdict for start, verdict in verdicts if verdict]


def _batches(table: pd.DataFrame) -> dict[int, list[str]]:
    ordered = table.sort_values(["step", "slot"])
    return {int(str(step)): [str(p) for p in group] for step, group in ordered.groupby("step")["prompt_id"]}
