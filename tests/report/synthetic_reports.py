"""Stage reports of a run that never happened."""

import numpy as np
import pandas as pd

from saerl_core.named_features import FEATURE_NAMES
from saerl_core.probe_rows import FeatureWeight
from saerl_core.records import (
    ClusterCard,
    ClustersReport,
    DifficultyReport,
    FeatureShift,
    PolicyReport,
    ProbeRow,
    QualityReport,
    WatchReport,
)
from tests.report.synthetic_tables import N_CLUSTERS


def make_policy_report() -> PolicyReport:
    values = {"pass@1": 0.29, "pass@8": 0.71, "zero_variance_frac": 0.47}
    for level in range(1, 6):
        values |= {f"pass@1_level{level}": 0.62 - 0.12 * level, f"pass@8_level{level}": 1.02 - 0.11 * level}
    return PolicyReport(
        stage="policy", values=values, loss_curve=tuple((s * 25, 2.9 * float(np.exp(-s / 14)) + 0.6) for s in range(60))
    )


def make_quality_report() -> QualityReport:
    kinds = ("answer_leaked", "garbage", "merged", "truncated", "wrong_domain")
    rows = (
        ("sae", 0.92, 0.71),
        ("dense", 0.94, 0.75),
        ("random_sae", 0.88, 0.62),
        ("tfidf", 0.9, 0.66),
        ("length", 0.61, 0.2),
    )
    table = tuple(
        ProbeRow(
            features=f,
            scores={"auc": a, "pearson_r": r, **{f"auc_{k}": a - 0.06 + 0.03 * i for i, k in enumerate(kinds)}},
            n=1600,
        )
        for f, a, r in rows
    )
    truth = {
        "auc_truth": 0.64,
        "auc_truth_wrong_key": 0.52,
        "auc_truth_garbled": 0.7,
        "auc_truth_truncated": 0.81,
        "auc_truth_ambiguous": 0.66,
    }
    note = "Out of fold the SAE probe reaches auc 0.920, which is not more than the best baseline (dense, 0.940)."
    return QualityReport(
        stage="quality",
        values={**table[0].scores, "keep_frac": 0.9, **truth},
        table=table,
        notes=(note,),
        weights=make_weights(0.5),
    )


def make_weights(scale: float) -> tuple[FeatureWeight, ...]:
    """Make weights of 60 latents: latent 2j speaks for, latent 2j + 1 against, the later the weaker."""
    effects = (scale * (-1.0) ** j / (1 + j // 2) for j in range(60))
    return tuple(FeatureWeight(latent=j, weight=2 * e, effect=e) for j, e in enumerate(effects))


def make_feature_names(train: pd.DataFrame) -> pd.DataFrame:
    """Make names of latents 0 to 510; the last one never fired."""
    texts = train["prompt"].to_numpy()
    rows = [(j, f"word {j}", 1 + j, 9.5, f"«{texts[j % len(texts)]}»\nsecond") for j in range(511)]
    return FEATURE_NAMES.check(pd.DataFrame(rows, columns=list(FEATURE_NAMES.columns)))


def make_difficulty_report() -> DifficultyReport:
    rows = (
        ("sae", 0.58, 0.35, 0.21, 0.44),
        ("dense", 0.66, 0.46, 0.19, 0.5),
        ("random_sae", 0.53, 0.3, 0.22, 0.4),
        ("tfidf", 0.6, 0.38, 0.2, 0.45),
        ("length", 0.49, 0.22, 0.24, 0.3),
    )
    table = (
        *(
            ProbeRow(features=f, scores={"spearman": s, "r2": r, "mae": m, "spearman_within": w}, n=240)
            for f, s, r, m, w in rows
        ),
        ProbeRow(features="mean", scores={"spearman": 0.0, "r2": -0.01, "mae": 0.27}, n=240),
    )
    values = {**table[0].scores, "spearman_gain": -0.08, "spearman_gain_lo": -0.15, "spearman_gain_hi": -0.01}
    return DifficultyReport(
        stage="difficulty",
        values=values,
        table=table,
        notes=("The SAE probe is worse than dense.",),
        weights=make_weights(0.1),
    )


def make_clusters_report(train: pd.DataFrame, clusters: pd.DataFrame, rng: np.random.Generator) -> ClustersReport:
    cards = []
    for cluster in sorted(clusters["cluster_id"].unique()):
        rows = train[clusters["cluster_id"] == cluster]
        top = rows["topic"].value_counts(normalize=True)
        cards.append(
            ClusterCard(
                cluster_id=int(cluster),
                size=len(rows),
                top_features=tuple(
                    (int(f), float(v))
                    for f, v in zip(rng.integers(512, size=6), sorted(rng.uniform(1.5, 9, size=6))[::-1], strict=True)
                ),
                nearest_prompts=tuple(rows["prompt"].head(3)),
                main_topic=str(top.index[0]),
                main_topic_frac=float(top.iloc[0]),
            )
        )
    centres = rng.normal(size=(N_CLUSTERS, 2)) * 4
    sample = clusters["cluster_id"].to_numpy()[:1500]
    points = tuple(
        (float(x), float(y), int(c))
        for (x, y), c in zip(centres[sample] + rng.normal(size=(len(sample), 2)) * 0.8, sample, strict=True)
    )
    ids = tuple(clusters["prompt_id"].head(len(points)))
    values = {"n_clusters": len(cards), "silhouette": 0.31, "nmi_topic": 0.78, "nmi_level": 0.01}
    return ClustersReport(stage="clusters", values=values, cards=tuple(cards), map_points=points, map_prompts=ids)


def make_watch_report() -> WatchReport:
    """Twelve shifts: ten that rose, two that fell."""
    shifts = tuple(
        FeatureShift(latent=i, before=0.2, after=0.2 + z / 20, z=z, is_alarm=abs(z) > 3.5)
        for i, z in enumerate((5.0, 4.0, 3.0, 2.8, 2.5, 2.2, 2.0, 1.8, 1.5, 1.0, -3.0, -3.8))
    )
    names = ("n_answers", "n_answers_changed", "n_latents", "n_moved", "n_latents_random_sae", "n_moved_random_sae")
    values = dict(zip(names, (64.0, 41.0, 430.0, 3.0, 380.0, 2.0), strict=True))
    return WatchReport(stage="watch", shifts=shifts, values=values, n_rollouts=128, n_generated_tokens=1200)
