"""How good the quality probe is, beside its baselines on the same folds."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from saerl_core.probe_rows import ProbeRow
from saerl_core.records import QualityReport
from saerl_core.seeds import stage_rng
from saerl_core.signals.comparison import verdict
from saerl_core.signals.quality_items import QualityItems
from saerl_core.signals.scores import auc, auc_difference, bootstrap_spearman, pearson, spearman

Scores = dict[str, Float[np.ndarray, " n"]]  # feature set -> out-of-fold score of every item


def judge(items: QualityItems, scores: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Return auc and auc_<kind> (two classes) or spearman (other labels), and pearson_r in both cases."""
    rows = items.labelled
    found = {"pearson_r": pearson(items.labels[rows], scores[rows])}
    if not items.is_binary:
        return {"spearman": spearman(items.labels[rows], scores[rows]), **found}
    good = rows & (items.labels == 1)
    found = {"auc": auc(good[rows], scores[rows]), **found}
    for kind in sorted({str(k) for k in items.kinds} - {""}):
        part = good | (items.kinds == kind)
        found[f"auc_{kind}"] = auc(good[part], scores[part])
    return found


def report_quality(items: QualityItems, quality: pd.DataFrame, scores: Scores, seed: int) -> QualityReport:
    """Return the report of a fitted probe; `quality` is in the order of the sorted pool.

    The gain is the difference to the best baseline with a paired 95 % interval: DeLong's for two classes, a bootstrap
    of the rank correlation for other labels.
    """
    usable = items.prompts["usable"].to_numpy(dtype=bool)
    kept = quality["keep"].to_numpy(dtype=bool)
    n = int(items.labelled.sum())
    table = tuple(ProbeRow(features=name, scores=judge(items, found), n=n) for name, found in scores.items())
    metric = "auc" if items.is_binary else "spearman"
    rivals = {row.features: row.scores[metric] for row in table[1:]}
    best = max(rivals, key=lambda name: rivals[name])
    lo, hi = _gain_interval(items, scores["sae"], scores[best], seed)
    own = table[0].scores[metric]
    values = {
        **table[0].scores,
        "keep_frac": float(kept[usable].mean()) if usable.any() else 0.0,
        "n_labelled": float(n),
        "n_corruptions": float(len(items.labels) - items.n_pool),
        f"{metric}_best_baseline": rivals[best],
        f"{metric}_gain": own - rivals[best],
        f"{metric}_gain_lo": lo,
        f"{metric}_gain_hi": hi,
        **_against_truth(items.prompts, quality["quality_score"].to_numpy(dtype=np.float64)),
    }
    note = (
        f"Out of fold on {n:,} labelled rows the SAE probe ({metric} {own:.3f}) {verdict(lo, hi)} the best baseline, "
        f"{best} ({rivals[best]:.3f}); difference {own - rivals[best]:+.3f}, 95 % interval {lo:+.3f} to {hi:+.3f}."
    )
    return QualityReport(stage="quality", values=values, table=table, notes=(note,))


def _gain_interval(
    items: QualityItems, own: Float[np.ndarray, " n"], rival: Float[np.ndarray, " n"], seed: int
) -> tuple[float, float]:
    rows = items.labelled
    labels = items.labels[rows]
    if items.is_binary:
        gain, error = auc_difference(labels == 1, own[rows], rival[rows])
        return gain - 1.96 * error, gain + 1.96 * error
    draws = bootstrap_spearman(labels, [own[rows], rival[rows]], stage_rng(seed, "quality_bootstrap"))
    lo, hi = np.quantile(draws[:, 0] - draws[:, 1], (0.025, 0.975))
    return float(lo), float(hi)


def _against_truth(pool: pd.DataFrame, scores: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Return auc_truth and auc_truth_<kind>: the built-in world knows its bad prompts, the probe does not."""
    if "truth" not in pool or pool["truth"].isna().all():
        return {}
    truth = pool["truth"].fillna("").astype(str).to_numpy()
    clean, bad = truth == "clean", ~np.isin(truth, ("clean", ""))
    found = {"auc_truth": auc(clean[clean | bad], scores[clean | bad])}
    for kind in sorted(set(truth[bad])):
        part = clean | (truth == kind)
        found[f"auc_truth_{kind}"] = auc(clean[part], scores[part])
    return found
