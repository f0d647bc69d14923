"""How well a prompt is made, judged by a linear probe on SAE features."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse import csr_matrix

from saerl_core.config.run import QualityConfig
from saerl_core.config.signals import Space
from saerl_core.errors import DataError
from saerl_core.progress import track
from saerl_core.records import ControlFeatures, LinearProbe, QualityReport, SaeFeatures
from saerl_core.seeds import stage_seed
from saerl_core.signals.broken import calibrate_broken
from saerl_core.signals.folds import deal_folds
from saerl_core.signals.keeping import choose_kept, with_kept
from saerl_core.signals.linear import LinearModel, feature_weights, fit_logistic, fit_ridge
from saerl_core.signals.quality_items import QualityItems, collect_items, why_not
from saerl_core.signals.quality_report import report_quality
from saerl_core.signals.spaces import FeatureSpace, build_spaces, control_rows, dealt, log1p, name_of, space_notes
from saerl_core.tables import QUALITY

_MIN_DOCUMENT_FREQUENCY = 5
_INNER_FOLDS = 4


def train_quality_probe(  # noqa: PLR0913 (pool and corruptions, each with its features and controls)
    prompts: pd.DataFrame,
    features: SaeFeatures,
    corrupted: pd.DataFrame | None,
    corrupted_features: SaeFeatures | None,
    config: QualityConfig,
    seed: int,
    *,
    controls: ControlFeatures | None = None,
    corrupted_controls: ControlFeatures | None = None,
    space: Space = "sae",
) -> tuple[pd.DataFrame, LinearProbe, QualityReport]:
    """Score every prompt of the pool with a linear probe that never saw it.

    Labels: usable prompts (1) against `corrupted` (0), or the column `quality_label`. Two classes: balanced logistic
    regression on standardised log(1 + SAE features), score = sigmoid; other labels: ridge, score clipped to [0, 1].
    A fold never parts a prompt from its copies, its corruptions or their partners; every score is out of fold. `keep`
    is False for prompts that are broken with a calibrated probability above `drop_above` (`broken`), or, where they
    are set, for the lowest `drop_quantile` of the usable prompts or below `threshold` (`keeping`). The probe returned
    is fitted on all labelled rows, on SAE features whatever `space` the scores are from. Where none can be fitted
    (labels all equal, or fewer of a class than folds) every score is 1, all is kept, the weights are zero and the
    report says so. `truth` is compared with, never learned from.
    Raises `DataError` for an empty pool, missing features or missing corruptions.
    """
    if prompts.empty:
        raise DataError("the pool holds no prompt to score; load at least one")
    pool = prompts.sort_values("prompt_id", ignore_index=True)
    corrupted = None if corrupted is None else corrupted.sort_values("prompt_id", ignore_index=True)
    items = collect_items(pool, corrupted, config)
    reason = why_not(items, config)
    if reason is not None:
        return _keep_all(prompts, features.matrix.shape[1], reason)
    spaces = _spaces(items, corrupted, features, corrupted_features, controls, corrupted_controls)
    folds = deal_folds(np.nan_to_num(items.labels, nan=0.5), items.groups, config.folds, seed, "quality_folds")
    scores = {}
    with track(len(spaces), "quality probes", "feature set") as bar:
        for one in spaces:
            scores[one.name] = _out_of_fold(one, items, folds, config, seed)
            bar.update()
    probe = _fit(spaces[0], items, np.flatnonzero(items.labelled), seed)
    chosen = scores[name_of(space)]
    kept = choose_kept(pool, chosen[: items.n_pool], calibrate_broken(items, chosen), config)
    found = {"quality_score": chosen[: items.n_pool], "keep": kept.keep}
    quality = dealt(pd.DataFrame({"prompt_id": pool["prompt_id"].astype(str), **found}), space, seed, "quality")
    report = with_kept(report_quality(items, quality, scores, seed), kept)
    weights = feature_weights(probe, spaces[0].matrix)
    report = report.model_copy(update={"notes": (*report.notes, *space_notes(space)), "weights": weights})
    record = LinearProbe("quality", probe.weights, probe.intercept)
    return _in_order(quality, prompts), record, report


def _keep_all(prompts: pd.DataFrame, d_sae: int, reason: str) -> tuple[pd.DataFrame, LinearProbe, QualityReport]:
    quality = QUALITY.check(
        pd.DataFrame({"prompt_id": prompts["prompt_id"].astype(str), "quality_score": 1.0, "keep": True})
    )
    report = QualityReport(stage="quality", notes=(reason,), values={"keep_frac": 1.0, "is_fallback": 1.0})
    return quality, LinearProbe("quality", np.zeros(d_sae), 0.0), report


def _spaces(
    items: QualityItems,
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


def _fit(space: FeatureSpace, items: QualityItems, rows: Int[np.ndarray, " m"], seed: int) -> LinearModel:
    labels = items.labels[rows]
    inner = deal_folds(labels, items.groups[rows], _INNER_FOLDS, seed, "quality_inner_folds")
    fit = fit_logistic if items.is_binary else fit_ridge
    return fit(space.matrix[rows], labels, (inner == 0).astype(np.int64), _MIN_DOCUMENT_FREQUENCY)


def _out_of_fold(
    space: FeatureSpace, items: QualityItems, folds: Int[np.ndarray, " n"], config: QualityConfig, seed: int
) -> Float[np.ndarray, " n"]:
    """Return the score of every row, labelled or not, by the model that was fitted without its fold."""
    scores = np.empty(len(items.labels))
    for fold in range(config.folds):
        rows = np.flatnonzero(folds == fold)
        train = np.flatnonzero((folds != fold) & items.labelled)
        if len(rows):
            model = _fit(space, items, train, stage_seed(seed, f"quality_fold_{fold}"))
            raw = model.predict(space.matrix[rows])
            scores[rows] = _sigmoid(raw) if items.is_binary else np.clip(raw, 0, 1)
    return scores


def score_with(probe: LinearProbe, matrix: csr_matrix) -> Float[np.ndarray, " n"]:
    """Return sigmoid(log1p(x) @ weights + intercept) of rows of SAE features that are not in the pool."""
    raw = np.asarray(log1p(matrix) @ probe.weights, dtype=np.float64).ravel() + probe.intercept
    return _sigmoid(raw)


def _sigmoid(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -40.0, 40.0))))


def _in_order(table: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    ids = [str(p) for p in prompts["prompt_id"]]
    return QUALITY.check(table.set_index("prompt_id").reindex(ids).reset_index())
