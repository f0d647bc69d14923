"""What the page and the closing lines of the CLI both say: the gain, the proof of the order, the cost by purpose."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saerl_core.records import ProbeRow
from saerl_core.report import numbers
from saerl_core.report.inputs import ReportInputs

PURPOSES = ("setup", "selection", "training", "evaluation")
_PURPOSE_OF = {  # by stage, and by the name of the pipeline step
    **dict.fromkeys(("prompts", "load_prompts", "policy", "prepare_policy", "world", "report", "write_report"), "setup"),
    **dict.fromkeys(("training", "train_policy"), "training"),
    **dict.fromkeys(("evaluation", "evaluate_policy"), "evaluation"),
}
FEATURE_NAMES = {
    "sae": "SAE features",
    "dense": "dense activations",
    "random_sae": "frozen random SAE",
    "tfidf": "TF-IDF of the text",
    "length": "length only",
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
    """Return the headline gain in the first configured pass@k, or None where nothing was compared."""
    scores = inputs.scores
    if scores is None or scores.empty:
        return None
    k = inputs.config.evaluation.ks[0]
    rows = scores[(scores["slice"] == "all") & (scores["k"] == k)].drop_duplicates("policy").set_index("policy")
    if not {"before", "after"} <= set(rows.index):
        return None
    values = inputs.evaluation_report.values if inputs.evaluation_report else {}
    stderr = values.get("gain_stderr", math.nan) if k == 1 else math.nan
    is_paired = math.isfinite(stderr)
    if not is_paired:
        stderr = float(np.hypot(rows.loc["before", "stderr"], rows.loc["after", "stderr"]))
    return Gain(
        metric=str(rows.loc["after", "metric"]),
        before=float(rows.loc["before", "value"]),
        after=float(rows.loc["after", "value"]),
        stderr=stderr,
        n_prompts=int(rows.loc["after", "n_prompts"]),
        is_paired=is_paired,
    )


def gain_sentence(gain: Gain) -> str:
    """Say in one honest sentence what training bought, with its error."""
    kind = "paired standard error" if gain.is_paired else "unpaired standard error"
    verb = "rose" if gain.gain > 0 else "fell" if gain.gain < 0 else "stayed"
    sentence = (
        f"On {numbers.count(gain.n_prompts)} held-out prompts, {gain.metric} {verb} from {numbers.percent(gain.before)} "
        f"to {numbers.percent(gain.after)}: {numbers.points(gain.gain)} points (± {numbers.fixed(100 * gain.stderr, 1)}, "
        f"{kind})."
    )
    if not gain.is_clear:
        sentence += " That is less than two standard errors: it cannot be told from no change."
    return sentence


def comparison_advice(inputs: ReportInputs) -> str:
    """Say what the headline does not show, and where to look for it."""
    other = "a saerl run" if inputs.plan.strategy == "vanilla" else "a vanilla run"
    return (
        f"This compares before and after one run, not strategies: compare with {other} in MLflow, over several "
        "training seeds. The error covers the choice of held-out prompts, not the luck of the seed."
    )


def order_proof(inputs: ReportInputs) -> OrderProof | None:
    """Compare the consumed batches with the planned ones, slot by slot; None where nothing was trained."""
    if inputs.training is None:
        return None
    planned = _batches(inputs.plan.table)
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
    """Return seconds, rollouts and tokens summed by purpose (index `PURPOSES`); an unknown stage counts as selection."""
    purpose = [purpose_of(str(s)) for s in costs["stage"]]
    columns = ["seconds", "n_rollouts", "n_generated_tokens", "n_prefill_tokens"]
    return costs[columns].groupby(purpose).sum().reindex(list(PURPOSES), fill_value=0)


def purpose_of(stage: str) -> str:
    """Return what a stage's cost is spent on."""
    return _PURPOSE_OF.get(stage, "selection")


def selection_share(costs: pd.DataFrame, column: str) -> float:
    """Return selection / (selection + training) of a cost column; NaN where neither cost anything."""
    by_purpose = cost_by_purpose(costs)[column]
    spent = float(by_purpose["selection"] + by_purpose["training"])
    return float(by_purpose["selection"]) / spent if spent else math.nan


def sae_verdict(table: tuple[ProbeRow, ...], metric: str, spelled: str) -> str | None:
    """Answer "does the SAE matter here?" for one metric; None where the SAE or every baseline is missing.

    The margin is a rough one, two standard errors of a single estimate: 2/sqrt(n) for a correlation (Fisher),
    2/sqrt(3n) for an AUC (two classes of equal size, no signal). The rows share folds, so it errs on the careful side.
    """
    values: Mapping[str, float] = {r.features: r.scores.get(metric, math.nan) for r in table}
    rivals = {k: v for k, v in values.items() if k != "sae" and math.isfinite(v)}
    own = values.get("sae", math.nan)
    if not rivals or not math.isfinite(own):
        return None
    best = max(rivals, key=lambda k: rivals[k])
    n = max(r.n for r in table)
    margin = 2 / math.sqrt(3 * n if "auc" in metric else n) if n else math.inf
    name = FEATURE_NAMES.get(best, best)
    numbers_text = f"{spelled} {own:.2f} for SAE features, {rivals[best]:.2f} for the best baseline ({name})"
    if own - rivals[best] > margin:
        return f"Here the SAE is ahead: {numbers_text}; the difference exceeds the rough margin of {margin:.2f}."
    if rivals[best] - own > margin:
        return f"Here the SAE is behind: {numbers_text}. Without its names for features, {name} would do better."
    return (
        f"Here the SAE cannot be told from its best baseline: {numbers_text}; "
        f"differences below about {margin:.2f} (n = {n:,}) can be chance."
    )


def _batches(table: pd.DataFrame) -> dict[int, list[str]]:
    ordered = table.sort_values(["step", "slot"])
    return {int(str(step)): [str(p) for p in group] for step, group in ordered.groupby("step")["prompt_id"]}
