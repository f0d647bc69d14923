"""How well a prompt is made, judged by a linear probe on SAE features."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import sparse

from saerl_core.config import QualityConfig
from saerl_core.errors import DataError
from saerl_core.progress import track
from saerl_core.records import ControlFeatures, LinearProbe, ProbeRow, QualityReport, SaeFeatures
from saerl_core.seeds import stage_seed
from saerl_core.signals.folds import deal_folds, join_groups, text_groups
from saerl_core.signals.linear import LinearModel, fit_logistic, fit_ridge
from saerl_core.signals.scores import auc, pearson, spearman
from saerl_core.signals.spaces import FeatureSpace, build_spaces, control_rows
from saerl_core.tables import QUALITY

_MIN_DOCUMENT_FREQUENCY = 5
_INNER_FOLDS = 4


@dataclass(frozen=True)
class _Items:
    """Pool prompts first, then corruptions: one row each, in the order of the feature spaces."""

    prompts: pd.DataFrame  # the pool, sorted by prompt_id
    n_pool: int
    labels: Float[np.ndarray, " n"]  # 1 good, 0 bad; NaN where there is no label
    groups: Int[np.ndarray, " n"]
    kinds: np.ndarray  # kind of corruption, "" for pool prompts

    @property
    def labelled(self) -> np.ndarray:
        """Mask of the rows that a probe may learn from."""
        return np.asarray(~np.isnan(self.labels))

    @property
    def is_binary(self) -> bool:
        """Whether all labels are 0 or 1."""
        return bool(np.isin(self.labels[self.labelled], (0.0, 1.0)).all())


def train_quality_probe(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    corrupted: pd.DataFrame | None,
    corrupted_features: SaeFeatures | None,
    config: QualityConfig,
    seed: int,
    *,
    controls: ControlFeatures | None = None,
    corrupted_controls: ControlFeatures | None = None,
) -> tuple[pd.DataFrame, LinearProbe, QualityReport]:
    """Score every prompt of the pool with a linear probe that never saw it.

    Labels are usable pool prompts (1) against `corrupted` (0), or the column `quality_label`. Two classes are fitted
    with a balanced logistic regression (score = sigmoid), other labels with ridge (score clipped to [0, 1]), on
    log(1 + SAE features) divided by their standard deviation. A fold never parts a prompt from its corruptions, from
    the partner of a corruption or from its own copies; every score is out of fold. `keep` is False for the lowest
    `drop_quantile` of the usable prompts (ties by prompt_id), or for scores below `threshold`. The returned probe is
    fitted on all labelled rows: sigmoid(log1p(x) @ weights + intercept).

    Where no probe can be fitted (labels all equal, or fewer of a class than folds) every score is 1, everything is
    kept, the weights are zero and the report says so. The column `truth` is only compared with, never learned from.
    Raises `DataError` for an empty pool, missing features or missing corruptions.
    """
    if prompts.empty:
        raise DataError("the pool holds no prompt to score; load at least one")
    pool = prompts.sort_values("prompt_id", ignore_index=True)
    items = _collect(pool, corrupted, config)
    reason = _why_not(items, config)
    if reason is not None:
        return _keep_all(prompts, features.matrix.shape[1], reason)
    spaces = _spaces(items, corrupted, features, corrupted_features, controls, corrupted_controls)
    folds = deal_folds(np.nan_to_num(items.labels, nan=0.5), items.groups, config.folds, seed, "quality_folds")
    scores, table = {}, []
    with track(len(spaces), "quality probes", "feature set") as bar:
        for space in spaces:
            scores[space.name] = _out_of_fold(space, items, folds, config, seed)
            table.append(ProbeRow(features=space.name, scores=_judge(items, scores[space.name]), n=_n(items)))
            bar.update()
    probe = _fit(spaces[0], items, np.flatnonzero(items.labelled), seed)
    sae_scores = scores["sae"][: items.n_pool]
    keep = _keep(pool, sae_scores, config)
    quality = pd.DataFrame({"prompt_id": pool["prompt_id"].astype(str), "quality_score": sae_scores, "keep": keep})
    report = _report(items, quality, tuple(table))
    record = LinearProbe("quality", probe.weights, probe.intercept)
    return _in_order(quality, prompts), record, report


def _collect(pool: pd.DataFrame, corrupted: pd.DataFrame | None, config: QualityConfig) -> _Items:
    usable = pool["usable"].to_numpy(dtype=bool)
    groups = text_groups(pool)
    if config.labels == "column":
        labels = np.where(usable, pool["quality_label"].to_numpy(dtype=np.float64, na_value=np.nan), np.nan)
        return _Items(pool, len(pool), labels, groups.to_numpy(), np.full(len(pool), "", dtype=object))
    if corrupted is None:
        raise DataError(
            "quality.labels is 'corruptions' but no corrupted prompts were given; make them with corrupt_prompts, "
            "or set quality.labels to 'column'"
        )
    originals = corrupted["original_id"].astype(str).tolist()
    links = list(zip(originals, corrupted.get("partner_id", corrupted["original_id"]), strict=True))
    joined = join_groups(groups, [(a, str(b)) for a, b in links if b is not None])
    missing = [o for o in originals if o not in joined.index]
    if missing:
        raise DataError(f"the original {missing[0]} of a corruption is not in the pool; corrupt the same pool again")
    return _Items(
        pool,
        len(pool),
        np.concatenate([np.where(usable, 1.0, np.nan), np.zeros(len(corrupted))]),
        np.concatenate([joined.to_numpy(), joined.loc[originals].to_numpy()]),
        np.concatenate([np.full(len(pool), "", dtype=object), corrupted["kind"].to_numpy(dtype=object)]),
    )


def _why_not(items: _Items, config: QualityConfig) -> str | None:
    """Return the sentence that says why no probe can be fitted, or None."""
    labels = items.labels[items.labelled]
    if len(labels) == 0 or np.ptp(labels) == 0:
        what = "there is no label" if len(labels) == 0 else f"all {len(labels)} labels are {labels[0]:g}"
        return f"The quality probe was not fitted: {what}. Every prompt has score 1 and is kept."
    smallest = min(int((labels == 0).sum()), int((labels == 1).sum())) if items.is_binary else len(labels)
    n_groups = len(np.unique(items.groups[items.labelled]))
    if smallest < config.folds or n_groups < config.folds:
        return (
            f"The quality probe was not fitted: {smallest} labels of the rarer class in {n_groups} groups do not fill "
            f"{config.folds} folds. Every prompt has score 1 and is kept."
        )
    return None


def _keep_all(prompts: pd.DataFrame, d_sae: int, reason: str) -> tuple[pd.DataFrame, LinearProbe, QualityReport]:
    quality = QUALITY.check(
        pd.DataFrame({"prompt_id": prompts["prompt_id"].astype(str), "quality_score": 1.0, "keep": True})
    )
    report = QualityReport(stage="quality", notes=(reason,), values={"keep_frac": 1.0, "is_fallback": 1.0})
    return quality, LinearProbe("quality", np.zeros(d_sae), 0.0), report


def _spaces(
    items: _Items,
    corrupted: pd.DataFrame | None,
    features: SaeFeatures,
    corrupted_features: SaeFeatures | None,
    controls: ControlFeatures | None,
    corrupted_controls: ControlFeatures | None,
) -> list[FeatureSpace]:
    pool_ids = [str(p) for p in items.prompts["prompt_id"]]
    texts = [str(t) for t in items.prompts["prompt"]]
    sae = features.rows(pool_ids)
    pairs = [control_rows(controls, pool_ids)] if controls is not None else []
    if len(items.labels) > items.n_pool and corrupted is not None:
        if corrupted_features is None:
            raise DataError("the corrupted prompts have no features; extract them with the same SAE as the pool's")
        bad_ids = [str(p) for p in corrupted["prompt_id"]]
        texts += [str(t) for t in corrupted["prompt"]]
        sae = sparse.vstack([sae, corrupted_features.rows(bad_ids)], format="csr")
        if corrupted_controls is None:
            pairs = []  # without both halves the baseline has no negative class
        elif pairs:
            pairs.append(control_rows(corrupted_controls, bad_ids))
    if not pairs:
        return build_spaces(texts, sae)
    dense = np.vstack([p[0] for p in pairs])
    return build_spaces(texts, sae, dense, sparse.vstack([p[1] for p in pairs], format="csr"))


def _fit(space: FeatureSpace, items: _Items, rows: Int[np.ndarray, " m"], seed: int) -> LinearModel:
    labels = items.labels[rows]
    inner = deal_folds(labels, items.groups[rows], _INNER_FOLDS, seed, "quality_inner_folds")
    fit = fit_logistic if items.is_binary else fit_ridge
    return fit(space.matrix[rows], labels, (inner == 0).astype(np.int64), _MIN_DOCUMENT_FREQUENCY)


def _out_of_fold(
    space: FeatureSpace, items: _Items, folds: Int[np.ndarray, " n"], config: QualityConfig, seed: int
) -> Float[np.ndarray, " n"]:
    """Return the score of every row, labelled or not, by the model that was fitted without its fold."""
    scores = np.empty(len(items.labels))
    for fold in range(config.folds):
        rows = np.flatnonzero(folds == fold)
        train = np.flatnonzero((folds != fold) & items.labelled)
        if len(rows):
            model = _fit(space, items, train, stage_seed(seed, f"quality_fold_{fold}"))
            raw = model.predict(space.matrix[rows])
            scores[rows] = 1.0 / (1.0 + np.exp(-np.clip(raw, -40, 40))) if items.is_binary else np.clip(raw, 0, 1)
    return scores


def _n(items: _Items) -> int:
    return int(items.labelled.sum())


def _judge(items: _Items, scores: Float[np.ndarray, " n"]) -> dict[str, float]:
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


def _keep(pool: pd.DataFrame, scores: Float[np.ndarray, " n"], config: QualityConfig) -> np.ndarray:
    """Return which prompts stay: scores >= threshold, or all but the lowest quantile of the usable ones.

    A prompt that is not usable stays unless it scores below everything that is kept: the plan leaves it out anyway.
    """
    if config.threshold is not None:
        return scores >= config.threshold
    usable = pool["usable"].to_numpy(dtype=bool)
    rows = np.flatnonzero(usable)
    n_dropped = int(config.drop_quantile * len(rows))
    order = rows[np.lexsort((pool["prompt_id"].astype(str).to_numpy()[rows], scores[rows]))]
    keep = np.ones(len(pool), dtype=bool)
    keep[order[:n_dropped]] = False
    if n_dropped:
        keep[~usable & (scores < scores[order[n_dropped - 1]])] = False
    return keep


def _report(items: _Items, quality: pd.DataFrame, table: tuple[ProbeRow, ...]) -> QualityReport:
    usable = items.prompts["usable"].to_numpy(dtype=bool)
    kept = quality["keep"].to_numpy(dtype=bool)
    values = {
        **table[0].scores,
        "keep_frac": float(kept[usable].mean()) if usable.any() else 0.0,
        "n_labelled": float(_n(items)),
        "n_corruptions": float(len(items.labels) - items.n_pool),
        **_against_truth(items.prompts, quality["quality_score"].to_numpy()),
    }
    metric = "auc" if items.is_binary else "pearson_r"
    rivals = {row.features: row.scores[metric] for row in table[1:]}
    best = max(rivals, key=lambda name: rivals[name])
    values[f"{metric}_best_baseline"] = rivals[best]
    word = "more" if values[metric] > rivals[best] else "not more"
    note = (
        f"Out of fold the SAE probe reaches {metric} {values[metric]:.3f}, which is {word} than the best baseline "
        f"({best}, {rivals[best]:.3f}); both are fitted and judged on the same folds."
    )
    return QualityReport(stage="quality", values=values, table=table, notes=(note,))


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


def _in_order(table: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    ids = [str(p) for p in prompts["prompt_id"]]
    return QUALITY.check(table.set_index("prompt_id").reindex(ids).reset_index())
