"""Records of a run that never happened: plausible numbers, every table valid against its schema."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd

from saerl_core import tables
from saerl_core.config import RunConfig
from saerl_core.records import (
    BatchPlan,
    ClusterCard,
    ClustersReport,
    DifficultyReport,
    EvaluationReport,
    FeaturesReport,
    PassRatesReport,
    PlanReport,
    PolicyReport,
    ProbeRow,
    PromptsReport,
    QualityReport,
    SaeReport,
    TrainingReport,
)
from saerl_core.report.inputs import ReportInputs, RunFacts, SaeFacts, TrainingFacts

TOPICS = ("add", "sub", "mod", "sort", "bin", "chain", "rev", "count")
TRUTHS = ("clean", "wrong_key", "garbled", "truncated", "ambiguous")
N_CLUSTERS = 12
HOSTILE = "<script>alert('planted')</script><img src=x onerror=alert(1)>"


def full_run(n: int = 1200, n_steps: int = 40, seed: int = 0) -> ReportInputs:
    """Make the records of an embedded run: task world, training and evaluation on."""
    rng = np.random.default_rng(seed)
    train = _prompts(n, rng, with_topics=True)
    table, decisions, clusters, difficulty, quality = _signals(train, rng, n_steps, batch=32)
    plan = _plan(table, decisions, 32)
    rates = _pass_rates(difficulty, rng)
    return ReportInputs(
        config=RunConfig(),
        facts=RunFacts(
            "saerl-seed0",
            "2026-08-01 12:00 UTC",
            "5f21a0d39d43",
            "zenml pipeline run saerl",
            {"torch": "2.13.0", "trl": "1.16.0"},
            "saerl-seed0",
        ),
        train=train,
        test=_prompts(480, rng, with_topics=True, prefix="t"),
        issues=_issues(),
        matches=tables.MATCHES.empty(),
        prompts_report=PromptsReport(stage="prompts", counts={"n_rows": n + 3, "n_train": n, "n_rejected": 2}),
        policy_report=_policy_report(),
        sae=SaeFacts("ab" * 32, "blocks.1.hook_resid_post", 512, "topk"),
        sae_report=SaeReport(
            stage="sae",
            values={"l0": 12.0, "explained_variance": 0.874, "dead_frac": 0.041, "d_sae": 512, "mse": 0.013},
            loss_curve=tuple(
                (s * 20, 2.2 * float(np.exp(-s / 9)) + 0.35 + 0.03 * float(rng.normal())) for s in range(40)
            ),
        ),
        features_report=FeaturesReport(
            stage="features", values={"n_prompts": n, "nnz_per_row": 71.4, "l0": 12.0, "prompts_per_s": 2100.0}
        ),
        quality=quality,
        quality_report=_quality_report(),
        clusters=clusters,
        clusters_report=_clusters_report(train, clusters, rng),
        difficulty=difficulty,
        difficulty_report=_difficulty_report(),
        plan=plan,
        plan_report=PlanReport(
            stage="plan",
            values={
                "n_steps": n_steps,
                "coherence": 0.91,
                "coverage": 0.62,
                "mixed_frac": 0.12,
                "difficulty_trend": 0.83,
                "left_out": 70,
            },
            notes=("7 clusters hold fewer prompts than a batch: their prompts went to the residual pool.",),
        ),
        costs=_costs(training=True),
        pass_rates=rates,
        pass_rates_report=PassRatesReport(
            stage="pass_rates", values={"n_labelled": len(rates), "mean_pass_rate": 0.31}
        ),
        training=_training(plan, rng),
        scores=_scores(rng),
        evaluation_report=EvaluationReport(
            stage="evaluation",
            values={
                "pass_at_1_before": 0.2812,
                "pass_at_1_after": 0.4193,
                "gain_pass_at_1": 0.1381,
                "gain_pass_at_1_stderr": 0.0114,
            },
        ),
    )


def curation_run(n: int = 900) -> ReportInputs:
    """Make the records of a run on a user's text: no topics, no rollouts, no training, no evaluation."""
    base = full_run(n, n_steps=20)
    train = base.train.assign(topic=None, truth=None)
    train.loc[[0, 1], "contamination"] = [1.0, 0.62]
    quality = base.quality_report
    no_truth = {k: v for k, v in quality.values.items() if "truth" not in k}
    cards = tuple(
        c.model_copy(update={"main_topic": None, "main_topic_frac": None}) for c in base.clusters_report.cards
    )
    config = RunConfig.model_validate(
        {
            "prompts": {"source": "file", "path": "math_train.jsonl.gz", "decontaminate_against": ["math500.jsonl.gz"]},
            "policy": {"source": "text"},
            "difficulty": {"label": "level"},
            "training": {"enabled": False},
            "evaluation": {"enabled": False},
            "grading": {"kind": "math"},
            "plan": {"n_steps": None},
        }
    )
    first = train.iloc[0]
    matches = tables.MATCHES.check(
        pd.DataFrame(
            [
                {
                    "prompt_id": first["prompt_id"],
                    "benchmark": "math500",
                    "eval_id": "test/7",
                    "coverage": 1.0,
                    "exact": True,
                    "prompt": first["prompt"],
                    "eval_prompt": first["prompt"],
                },
                {
                    "prompt_id": train.iloc[1]["prompt_id"],
                    "benchmark": "math500",
                    "eval_id": "test/9",
                    "coverage": 0.62,
                    "exact": False,
                    "prompt": "Find the sum of all integers",
                    "eval_prompt": "Find the sum of all even integers",
                },
            ]
        )
    )
    report = base.difficulty_report
    return replace(
        base,
        config=config,
        train=tables.PROMPTS.check(train),
        test=tables.PROMPTS.empty(),
        matches=matches,
        quality_report=quality.model_copy(update={"values": no_truth}),
        clusters_report=base.clusters_report.model_copy(update={"cards": cards, "values": {"silhouette": 0.12}}),
        policy_report=PolicyReport(
            stage="policy", loss_curve=tuple((s * 10, 6 * float(np.exp(-s / 12)) + 2.1) for s in range(50))
        ),
        difficulty_report=report.model_copy(update={"label": "level", "held_out_table": report.table}),
        costs=_costs(training=False),
        pass_rates=None,
        pass_rates_report=None,
        training=None,
        scores=None,
        evaluation_report=None,
    )


def hostile_run() -> ReportInputs:
    """Make a run in which every text that a user controls is markup."""
    base = full_run(300, n_steps=4)
    train = base.train.copy()
    train["prompt"] = [f"{HOSTILE} {i}" for i in range(len(train))]
    train["topic"] = HOSTILE
    issues = base.issues.assign(file=HOSTILE, detail=HOSTILE, reason=HOSTILE)
    cards = tuple(
        c.model_copy(update={"main_topic": HOSTILE, "nearest_prompts": (HOSTILE,)}) for c in base.clusters_report.cards
    )
    scores = base.scores.assign(
        slice=base.scores["slice"].str.replace("topic=", f"topic={HOSTILE}", regex=False), benchmark=HOSTILE
    )
    config = RunConfig.model_validate(
        {
            "policy": {"source": "pretrained", "model": HOSTILE},
            "prompts": {"source": "file", "path": HOSTILE, "eval_path": HOSTILE},
            "grading": {"kind": "exact"},
        }
    )
    match = {
        "prompt_id": train.iloc[0]["prompt_id"],
        "benchmark": HOSTILE,
        "eval_id": HOSTILE,
        "coverage": 0.9,
        "exact": False,
        "prompt": HOSTILE,
        "eval_prompt": HOSTILE,
    }
    return replace(
        base,
        config=config,
        train=train,
        issues=tables.ISSUES.check(issues),
        matches=tables.MATCHES.check(pd.DataFrame([match])),
        clusters_report=base.clusters_report.model_copy(update={"cards": cards}),
        scores=scores,
        facts=replace(base.facts, run_name=HOSTILE, command=f"run --name {HOSTILE}", versions={HOSTILE: HOSTILE}),
        prompts_report=base.prompts_report.model_copy(update={"notes": (HOSTILE,)}),
        sae=replace(base.sae, model=HOSTILE),
    )


def _prompts(n: int, rng: np.random.Generator, *, with_topics: bool, prefix: str = "p") -> pd.DataFrame:
    topics = [TOPICS[i] for i in rng.integers(len(TOPICS), size=n)]
    levels = rng.integers(1, 6, size=n)
    truth = rng.choice(TRUTHS, size=n, p=[0.8, 0.08, 0.05, 0.04, 0.03])
    usable = rng.random(n) > 0.03
    texts = [
        f"{t} {rng.integers(1, 10 ** int(v))} {rng.integers(10, 99)} =" for t, v in zip(topics, levels, strict=True)
    ]
    ids = [prefix + hashlib.sha256(f"{prefix}{i}".encode()).hexdigest()[:15] for i in range(n)]
    frame = pd.DataFrame(
        {
            "prompt_id": ids,
            "prompt": texts,
            "answer": [str(v) for v in rng.integers(0, 99, size=n)],
            "source": "task_world",
            "topic": topics if with_topics else None,
            "level": levels.astype(float),
            "known_pass_rate": np.nan,
            "quality_label": np.nan,
            "duplicate_of": [ids[0] if i % 97 == 5 else None for i in range(n)],
            "conflict": [i % 131 == 7 for i in range(n)],
            "contamination": 0.0,
            "flags": ["" if u else "duplicate" for u in usable],
            "usable": usable,
            "truth": truth,
        }
    )
    return tables.PROMPTS.check(frame)


def _signals(train: pd.DataFrame, rng: np.random.Generator, n_steps: int, batch: int) -> tuple[pd.DataFrame, ...]:
    n, ids = len(train), train["prompt_id"]
    cluster = (train["topic"].map(TOPICS.index) + (rng.random(n) < 0.35) * rng.integers(0, 5, size=n)) % N_CLUSTERS
    clusters = tables.CLUSTERS.check(
        pd.DataFrame({"prompt_id": ids, "cluster_id": cluster, "centroid_distance": rng.random(n)})
    )
    true = np.clip(train["level"] / 6 + 0.14 * rng.normal(size=n), 0, 1)
    predicted = np.clip(0.5 * true + 0.3 + 0.09 * rng.normal(size=n), 0, 1)
    labelled = rng.random(n) < 0.2
    measured = np.round(true * 8) / 8
    difficulty = tables.DIFFICULTY.check(
        pd.DataFrame(
            {
                "prompt_id": ids,
                "difficulty": np.where(labelled, measured, predicted),
                "predicted": predicted,
                "calibrated": true.rank(pct=True),
                "is_labelled": labelled,
            }
        )
    )
    score = np.clip(0.72 - 0.22 * (train["truth"] != "clean") + 0.14 * rng.normal(size=n), 0, 1)
    quality = tables.QUALITY.check(
        pd.DataFrame({"prompt_id": ids, "quality_score": score, "keep": score > score.quantile(0.1)})
    )
    ok = (train["usable"] & quality["keep"]).to_numpy()
    pool = pd.DataFrame({"prompt_id": ids, "cluster_id": cluster, "difficulty": difficulty["difficulty"]})[
        ok
    ].sort_values(["difficulty", "cluster_id"])
    pool["block"] = np.arange(len(pool)) // (batch * 6)
    pool = pool.sort_values(["block", "cluster_id", "difficulty"]).head(n_steps * batch)
    pool = pool.head(len(pool) // batch * batch)
    index = np.arange(len(pool))
    table = tables.PLAN.check(
        pd.DataFrame(
            {
                "step": index // batch,
                "slot": index % batch,
                "epoch": 0,
                "prompt_id": pool["prompt_id"].to_numpy(),
                "cluster_id": pool["cluster_id"].to_numpy(),
                "difficulty": pool["difficulty"].to_numpy(),
                "is_mixed": (index % batch >= batch - 4) & (index // batch > 0),
            }
        )
    )
    first = dict(zip(table["prompt_id"], table["step"], strict=True))
    reason = [
        "planned" if p in first else "not usable: duplicate" if not u else "low quality" if not k else "beyond n_steps"
        for p, u, k in zip(ids, train["usable"], quality["keep"], strict=True)
    ]
    decisions = tables.DECISIONS.check(
        pd.DataFrame(
            {
                "prompt_id": ids,
                "planned": [p in first for p in ids],
                "reason": reason,
                "n_uses": [int(p in first) for p in ids],
                "first_step": [first.get(p, -1) for p in ids],
            }
        )
    )
    return table, decisions, clusters, difficulty, quality


def _plan(table: pd.DataFrame, decisions: pd.DataFrame, batch: int) -> BatchPlan:
    return BatchPlan(table, decisions, "saerl", 0, batch, hashlib.sha256(table.to_csv().encode()).hexdigest())


def _pass_rates(difficulty: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    rows = difficulty[difficulty["is_labelled"]]
    correct = np.round((1 - rows["difficulty"]) * 8).astype(int)
    return tables.PASS_RATES.check(
        pd.DataFrame(
            {
                "prompt_id": rows["prompt_id"],
                "n_rollouts": 8,
                "n_correct": correct,
                "n_unknown": 0,
                "pass_rate": correct / 8,
                "mean_completion_tokens": 6 + rng.random(len(rows)),
                "truncated_frac": 0.02,
            }
        )
    )


def _training(plan: BatchPlan, rng: np.random.Generator) -> TrainingFacts:
    steps = np.arange(plan.n_steps)
    p = np.clip(1 - plan.table["difficulty"] * (1.05 - 0.35 * plan.table["step"] / max(plan.n_steps, 1)), 0.02, 0.98)
    correct = rng.binomial(8, rng.beta(1.2 * p, 1.2 * (1 - p)))  # rollouts of one prompt agree more than chance
    consumed = tables.CONSUMED.check(plan.table[["step", "slot", "prompt_id"]].assign(n_rollouts=8, n_correct=correct))
    zero = consumed.assign(z=consumed["n_correct"].isin([0, 8])).groupby("step")["z"].mean().to_numpy()
    log = tables.TRAINING_LOG.check(
        pd.DataFrame(
            {
                "step": steps,
                "reward_mean": consumed.groupby("step")["n_correct"].mean().to_numpy() / 8,
                "zero_std_frac": zero,
                "kl": 0.002 * steps + 0.003 * rng.random(len(steps)),
                "entropy": 0.62 - 0.005 * steps + 0.03 * rng.normal(size=len(steps)),
                "completion_tokens_mean": 6.2 + 0.01 * steps + 0.2 * rng.normal(size=len(steps)),
                "truncated_frac": np.clip(0.03 - 0.0005 * steps, 0, 1),
                "loss": 0.01 * rng.normal(size=len(steps)),
                "grad_norm": 0.6 + 0.2 * rng.random(len(steps)),
                "lr": 5e-4,
                "step_s": 0.8 + 0.1 * rng.random(len(steps)),
                "n_rollouts_total": (steps + 1) * 256,
                "n_tokens_total": (steps + 1) * 256 * 6,
                "consumed_hash": [hashlib.sha256(str(s).encode()).hexdigest() for s in steps],
            }
        )
    )
    report = TrainingReport(
        stage="training", n_rollouts=len(steps) * 256, values={"n_steps": len(steps), "resumed_from_step": 0.0}
    )
    return TrainingFacts(log, consumed, report)


def _scores(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    slices = [("all", 480), *((f"topic={t}", 60) for t in TOPICS), *((f"level={v}", 96) for v in range(1, 6))]
    for name, n in slices:
        hard = int(name[-1]) if name.startswith("level") else 3
        for k in (1, 8):
            low = (
                0.2812
                if name == "all" and k == 1
                else float(np.clip(0.62 - 0.11 * hard + 0.28 * (k > 1) + 0.04 * rng.normal(), 0.01, 0.98))
            )
            high = (
                0.4193
                if name == "all" and k == 1
                else float(np.clip(low + 0.13 - 0.05 * (k > 1) + 0.02 * rng.normal(), 0.01, 0.99))
            )
            rows += [("before", name, k, low, n), ("after", name, k, high, n)]
    return tables.SCORES.check(
        pd.DataFrame(
            [
                {
                    "policy": p,
                    "benchmark": "task_world",
                    "slice": s,
                    "metric": f"pass@{k}",
                    "k": k,
                    "value": v,
                    "stderr": float(np.sqrt(v * (1 - v) / n)),
                    "n_prompts": n,
                }
                for p, s, k, v, n in rows
            ]
        )
    )


def _issues() -> pd.DataFrame:
    rows = [
        ("pool.jsonl", 17, "empty_answer", "answer is empty after trimming", True),
        ("pool.jsonl", 214, "empty_answer", "answer is null", True),
        ("pool.jsonl", 391, "duplicate", "same prompt and answer as line 12", False),
    ]
    return tables.ISSUES.check(pd.DataFrame(rows, columns=["file", "line", "reason", "detail", "rejected"]))


def _costs(*, training: bool) -> pd.DataFrame:
    rows = [
        ("prompts", 1.2, 0, 0, 0),
        ("policy", 131.0, 960, 6100, 11000),
        ("sae", 42.0, 0, 0, 400_000),
        ("features", 3.1, 0, 0, 31_000),
        ("quality", 6.4, 0, 0, 9_000),
        ("clusters", 2.2, 0, 0, 0),
        ("pass_rates", 9.7, 1920 if training else 0, 12_100 if training else 0, 2_600 if training else 0),
        ("difficulty", 11.8, 0, 0, 0),
        ("plan", 0.3, 0, 0, 0),
    ]
    if training:
        rows += [("training", 96.4, 10_240, 64_300, 102_400), ("evaluation", 31.0, 7_680, 48_800, 9_900)]
    columns = ["stage", "seconds", "n_rollouts", "n_generated_tokens", "n_prefill_tokens"]
    return tables.COSTS.check(pd.DataFrame(rows, columns=columns))


def _policy_report() -> PolicyReport:
    values = {"pass@1": 0.29, "pass@8": 0.71, "zero_variance_frac": 0.47}
    for level in range(1, 6):
        values |= {f"pass@1_level{level}": 0.62 - 0.12 * level, f"pass@8_level{level}": 1.02 - 0.11 * level}
    return PolicyReport(
        stage="policy", values=values, loss_curve=tuple((s * 25, 2.9 * float(np.exp(-s / 14)) + 0.6) for s in range(60))
    )


def _quality_report() -> QualityReport:
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
        stage="quality", values={**table[0].scores, "keep_frac": 0.9, **truth}, table=table, notes=(note,)
    )


def _difficulty_report() -> DifficultyReport:
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
        stage="difficulty", values=values, table=table, notes=("The SAE probe is worse than dense.",)
    )


def _clusters_report(train: pd.DataFrame, clusters: pd.DataFrame, rng: np.random.Generator) -> ClustersReport:
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
    values = {"n_clusters": len(cards), "silhouette": 0.31, "nmi_topic": 0.78, "nmi_level": 0.01}
    return ClustersReport(stage="clusters", values=values, cards=tuple(cards), map_points=points)
