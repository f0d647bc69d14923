"""How hard every prompt is, predicted from a small labelled subset."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import rankdata

from saerl_core.config.run import DifficultyConfig
from saerl_core.config.signals import Space
from saerl_core.errors import DataError
from saerl_core.probe_rows import FEW_ROWS, ProbeRow
from saerl_core.progress import track
from saerl_core.records import ControlFeatures, DifficultyReport, SaeFeatures
from saerl_core.seeds import stage_rng, stage_seed
from saerl_core.signals.comparison import Comparison, compare, judge
from saerl_core.signals.folds import deal_folds, text_groups
from saerl_core.signals.labels import UNLABELLED, DifficultyLabels, chosen_label, read_labels
from saerl_core.signals.linear import LinearModel, feature_weights, fit_elastic_net
from saerl_core.signals.scores import noise_ceiling, spearman
from saerl_core.signals.spaces import FeatureSpace, build_spaces, control_rows, name_of, space_notes
from saerl_core.signals.unlabelled import describe, given_likelihood, unlabelled_difficulty
from saerl_core.tables import DIFFICULTY

_INNER_FOLDS = 3
_MIN_LABELLED = 10  # below this a probe would be fitted to noise

Predictions = dict[str, np.ndarray]  # feature set -> clipped predictions


@dataclass(frozen=True)
class _Task:
    """The sorted pool with its labelled rows, and how those are split."""

    pool: pd.DataFrame
    clusters: Int[np.ndarray, " n"]
    labels: DifficultyLabels
    rows: Int[np.ndarray, " m"]  # labelled rows of the pool
    groups: Int[np.ndarray, " m"]
    folds: Int[np.ndarray, " m"]

    @property
    def y(self) -> Float[np.ndarray, " m"]:
        """Labels of the labelled rows."""
        return np.asarray(self.labels.seen[self.rows])


def calibrate_difficulty(  # noqa: PLR0913 (it reads the tables of four stages)
    prompts: pd.DataFrame,
    features: SaeFeatures,
    controls: ControlFeatures | None,
    clusters: pd.DataFrame,
    pass_rates: pd.DataFrame | None,
    config: DifficultyConfig,
    seed: int,
    *,
    likelihood: pd.DataFrame | None = None,
    space: Space = "sae",
) -> tuple[pd.DataFrame, DifficultyReport]:
    """Predict the difficulty of every prompt with an elastic net on log(1 + SAE features).

    `difficulty` is the prompt's own label wherever it has one, also where the probe did not see it, else the
    prediction clipped to [0, 1]; `predicted` is out of fold for prompts whose label the probe saw. Which kind of label
    is used, `labels.chosen_label` says; without any it comes from `likelihood` (`unlabelled`). `calibrated` is the
    rank of `difficulty` inside the cluster, (rank - 1) / (size - 1) with ties averaged, 0.5 in a cluster of one. With
    another `space` the prediction is that of a baseline, for `random` dealt out at random without any label. The
    report holds every baseline on the same folds with the same estimator and, for labels that came with the data, the
    same on held-out rows. Independent of the row order.

    Where no probe can be fitted (labels all equal, or fewer than 10 different prompts with a label) the mean label is
    predicted everywhere and the report says so. Raises `DataError` for an empty pool, for a pool without labels and
    without likelihood, and for a prompt without features or cluster.
    """
    if prompts.empty:
        raise DataError("the pool holds no prompt whose difficulty could be predicted; load at least one")
    label = chosen_label(prompts, pass_rates, config)
    if label in UNLABELLED:
        known_as = None if label == "none" else given_likelihood(likelihood, config)
        return _unlabelled(prompts, features, clusters, known_as, config, seed)
    config = config.model_copy(update={"label": label})
    task = _prepare(prompts, clusters, pass_rates, config, seed)
    reason = _why_not(task)
    if reason is not None:
        constant = np.full(len(task.pool), float(task.y.mean()))
        values = {"is_fallback": 1.0, "mae": float(np.abs(task.y - task.y.mean()).mean()), **_counts(task)}
        notes = (reason, *task.labels.notes)
        report = DifficultyReport(stage="difficulty", label=config.label, notes=notes, values=values)
        return _table(prompts, task.pool, task.clusters, task.labels.known, constant), report
    spaces = _spaces(task.pool, features, controls)
    out_of_fold, final, models = _fit_all(spaces, task, config, seed)
    n_active = np.diff(features.rows([str(p) for p in task.pool["prompt_id"]]).indptr).astype(np.float64)
    report = _report(task, out_of_fold, final, config, seed)
    extra = {**_ceiling(task, pass_rates, config, seed), "spearman_n_active": spearman(task.y, n_active[task.rows])}
    more = {
        "values": {**report.values, **extra},
        "notes": (*report.notes, *space_notes(space)),
        "weights": feature_weights(models["sae"], spaces[0].matrix),
    }
    known, predicted = _chosen(out_of_fold, final, task, space, seed)
    return _table(prompts, task.pool, task.clusters, known, predicted), report.model_copy(update=more)


def _chosen(
    out_of_fold: Predictions, final: Predictions, task: _Task, space: Space, seed: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the labels that count and the predictions of one feature set; `random` knows no label."""
    name = name_of(space)
    predicted = final[name].copy()
    predicted[task.rows] = out_of_fold[name]
    if space != "random":
        return task.labels.known, predicted
    return np.full(len(predicted), np.nan), stage_rng(seed, "difficulty_random").permutation(predicted)


def _prepare(
    prompts: pd.DataFrame,
    clusters: pd.DataFrame,
    pass_rates: pd.DataFrame | None,
    config: DifficultyConfig,
    seed: int,
) -> _Task:
    pool = prompts.sort_values("prompt_id", ignore_index=True)
    cluster_of = _clusters_of(pool, clusters)
    labels = read_labels(pool, pass_rates, config, seed)
    rows = np.flatnonzero(~np.isnan(labels.seen))
    groups = text_groups(pool).to_numpy()[rows]
    n_folds = max(2, min(config.folds, len(np.unique(groups))))
    folds = deal_folds(labels.seen[rows], groups, n_folds, seed, "difficulty_folds")
    return _Task(pool, cluster_of, labels, rows, groups, folds)


def _unlabelled(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    clusters: pd.DataFrame,
    likelihood: pd.DataFrame | None,
    config: DifficultyConfig,
    seed: int,
) -> tuple[pd.DataFrame, DifficultyReport]:
    pool = prompts.sort_values("prompt_id", ignore_index=True)
    found, report = unlabelled_difficulty(pool, likelihood, config)
    if likelihood is not None:
        rows = features.rows([str(p) for p in pool["prompt_id"]])
        report = report.model_copy(update={"weights": describe(pool, rows, found, config, seed)})
    return _table(prompts, pool, _clusters_of(pool, clusters), np.full(len(pool), np.nan), found), report


def _clusters_of(pool: pd.DataFrame, clusters: pd.DataFrame) -> Int[np.ndarray, " n"]:
    ids = pool["prompt_id"].astype(str)
    cluster_of = clusters.set_index(clusters["prompt_id"].astype(str))["cluster_id"].reindex(ids)
    if cluster_of.isna().any():
        missing = cluster_of.index[cluster_of.isna()][0]
        raise DataError(f"prompt {missing} has no cluster; cluster the whole pool before calibrating its difficulty")
    return cluster_of.to_numpy(dtype=np.int64)


def _why_not(task: _Task) -> str | None:
    """Return the sentence that says why no probe can be fitted, or None."""
    n = len(np.unique(task.groups))
    if np.ptp(task.y) == 0:
        return (
            f"The difficulty probe was not fitted: all {len(task.y)} labels are {task.y[0]:g}. "
            "Every prompt is predicted to be that hard, so the order inside a cluster is arbitrary."
        )
    if n < _MIN_LABELLED:
        return (
            f"The difficulty probe was not fitted: {n} different labelled prompts are fewer than {_MIN_LABELLED}. "
            "Every other prompt is predicted to be as hard as their mean; label more prompts."
        )
    return None


def _spaces(pool: pd.DataFrame, features: SaeFeatures, controls: ControlFeatures | None) -> list[FeatureSpace]:
    ids = [str(p) for p in pool["prompt_id"]]
    texts = [str(p) for p in pool["prompt"]]
    if controls is None:
        return build_spaces(texts, features.rows(ids))
    dense, random_sae = control_rows(controls, ids)
    return build_spaces(texts, features.rows(ids), dense, random_sae)


def _fit_all(
    spaces: list[FeatureSpace], task: _Task, config: DifficultyConfig, seed: int
) -> tuple[Predictions, Predictions, dict[str, LinearModel]]:
    """Return out-of-fold predictions of the labelled rows, final ones of all rows and final models, by feature set."""
    folds = np.unique(task.folds)
    out_of_fold: Predictions = {}
    final: Predictions = {}
    models: dict[str, LinearModel] = {}
    with track(len(spaces) * (len(folds) + 1), "difficulty probes", "fit") as bar:
        for space in spaces:
            found = np.empty(len(task.rows))
            for fold in folds:
                test = task.folds == fold
                model = _fit(space, task, ~test, config, stage_seed(seed, f"difficulty_fold_{fold}"))
                found[test] = model.predict(space.matrix[task.rows[test]])
                bar.update()
            everything = np.ones(len(task.rows), dtype=bool)
            model = models[space.name] = _fit(space, task, everything, config, stage_seed(seed, "difficulty_final"))
            out_of_fold[space.name] = np.clip(found, 0.0, 1.0)
            final[space.name] = np.clip(model.predict(space.matrix), 0.0, 1.0)
            bar.update()
    means = {fold: float(task.y[task.folds != fold].mean()) for fold in folds}
    out_of_fold["mean"] = np.array([means[fold] for fold in task.folds])
    final["mean"] = np.full(len(task.pool), float(task.y.mean()))
    return out_of_fold, final, models


def _fit(space: FeatureSpace, task: _Task, train: np.ndarray, config: DifficultyConfig, seed: int) -> LinearModel:
    labels, groups = task.y[train], task.groups[train]
    inner = deal_folds(labels, groups, _INNER_FOLDS, seed, "difficulty_inner_folds")
    matrix = space.matrix[task.rows[train]]
    return fit_elastic_net(matrix, labels, inner, config.l1_ratio, config.min_document_frequency)


def _report(
    task: _Task, out_of_fold: Predictions, final: Predictions, config: DifficultyConfig, seed: int
) -> DifficultyReport:
    measured = Comparison(task.y, out_of_fold, task.clusters[task.rows])
    values, sentence = compare(measured, stage_rng(seed, "difficulty_bootstrap"))
    notes = [f"Out of fold on {len(task.y)} labelled prompts: {sentence}"]
    held_out_table: tuple[ProbeRow, ...] = ()
    rows = np.flatnonzero(~np.isnan(task.labels.held_out))
    if len(rows):
        unseen = Comparison(
            task.labels.held_out[rows], {name: p[rows] for name, p in final.items()}, task.clusters[rows]
        )
        found, sentence = compare(unseen, stage_rng(seed, "difficulty_bootstrap_held_out"))
        values |= {f"held_out_{name}": value for name, value in found.items()}
        place = 0 if len(rows) >= FEW_ROWS else 1  # a handful of rows decides nothing
        notes.insert(place, f"On {len(rows)} held-out prompts: {sentence}")
        held_out_table = judge(unseen)
    return DifficultyReport(
        stage="difficulty",
        label=config.label,
        values={**values, **_counts(task)},
        table=judge(measured),
        held_out_table=held_out_table,
        notes=(*notes, *task.labels.notes),
    )


def _counts(task: _Task) -> dict[str, float]:
    return {
        "n_labelled": float(len(task.rows)),
        "n_known": float((~np.isnan(task.labels.known)).sum()),
        "n_held_out": float((~np.isnan(task.labels.held_out)).sum()),
        "n_folds": float(len(np.unique(task.folds))),
        "mean_label": float(task.y.mean()),
    }


def _ceiling(task: _Task, pass_rates: pd.DataFrame | None, config: DifficultyConfig, seed: int) -> dict[str, float]:
    if config.label != "pass_rate" or pass_rates is None:
        return {}
    known = pass_rates[pass_rates["prompt_id"].isin(task.pool["prompt_id"])].sort_values("prompt_id")
    best_r2, best_spearman = noise_ceiling(
        known["n_correct"].to_numpy(dtype=np.int64),
        known["n_rollouts"].to_numpy(dtype=np.int64),
        stage_rng(seed, "difficulty_ceiling"),
    )
    return {"r2_ceiling": best_r2, "spearman_ceiling": best_spearman}


def _table(
    prompts: pd.DataFrame,
    pool: pd.DataFrame,
    clusters: Int[np.ndarray, " n"],
    known: Float[np.ndarray, " n"],
    predicted: Float[np.ndarray, " n"],
) -> pd.DataFrame:
    is_labelled = ~np.isnan(known)
    difficulty = np.where(is_labelled, known, predicted)
    table = pd.DataFrame(
        {
            "prompt_id": pool["prompt_id"].astype(str),
            "difficulty": difficulty,
            "predicted": predicted,
            "calibrated": rank_inside(difficulty, clusters),
            "is_labelled": is_labelled,
        }
    ).set_index("prompt_id")
    ids = [str(p) for p in prompts["prompt_id"]]
    return DIFFICULTY.check(table.reindex(ids).reset_index())


def rank_inside(values: Float[np.ndarray, " n"], clusters: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the rank of each value inside its cluster: (rank - 1) / (size - 1), ties averaged, 0.5 for a single."""
    out = np.full(len(values), 0.5)
    for cluster in np.unique(clusters):
        rows = np.flatnonzero(clusters == cluster)
        if len(rows) > 1:
            out[rows] = (rankdata(values[rows]) - 1.0) / (len(rows) - 1)
    return out
