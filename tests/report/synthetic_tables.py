"""Tables of a run that never happened, each valid against its schema."""

import hashlib

import numpy as np
import pandas as pd

from saerl_core import tables
from saerl_core.plans import FixedPlan
from saerl_core.records import TrainingReport
from saerl_core.report.inputs import TrainingFacts

TOPICS = ("add", "sub", "mod", "sort", "bin", "chain", "rev", "count")
TRUTHS = ("clean", "wrong_key", "garbled", "truncated", "ambiguous")
N_CLUSTERS = 12


def make_prompts(n: int, rng: np.random.Generator, *, with_topics: bool, prefix: str = "p") -> pd.DataFrame:
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


def make_decisions(train: pd.DataFrame, quality: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    ids = train["prompt_id"]
    first = dict(zip(table["prompt_id"], table["step"], strict=True))
    reason = [
        "planned" if p in first else "not usable: duplicate" if not u else "low quality" if not k else "beyond n_steps"
        for p, u, k in zip(ids, train["usable"], quality["keep"], strict=True)
    ]
    return tables.DECISIONS.check(
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


def make_signals(train: pd.DataFrame, rng: np.random.Generator, n_steps: int, batch: int) -> tuple[pd.DataFrame, ...]:
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
    decisions = make_decisions(train, quality, table)
    return table, decisions, clusters, difficulty, quality


def make_plan(table: pd.DataFrame, decisions: pd.DataFrame, batch: int) -> FixedPlan:
    return FixedPlan(table, decisions, "saerl", 0, batch, hashlib.sha256(table.to_csv().encode()).hexdigest())


def make_pass_rates(difficulty: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
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


def make_training(plan: FixedPlan, rng: np.random.Generator) -> TrainingFacts:
    steps = np.arange(plan.n_steps)
    p = np.clip(1 - plan.table["difficulty"] * (1.05 - 0.35 * plan.table["step"] / max(plan.n_steps, 1)), 0.02, 0.98)
    correct = rng.binomial(8, rng.beta(1.2 * p, 1.2 * (1 - p)))  # rollouts of one prompt agree more than chance
    consumed = tables.CONSUMED.check(
        plan.table[["step", "slot", "prompt_id"]].assign(
            n_rollouts=8, n_correct=correct, update=plan.table["step"], is_trained=True
        )
    )
    zero = consumed.assign(z=consumed["n_correct"].isin([0, 8])).groupby("step")["z"].mean().to_numpy()
    log = tables.TRAINING_LOG.check(
        pd.DataFrame(
            {
                "step": steps,
                "reward_mean": consumed.groupby("step")["n_correct"].mean().to_numpy() / 8,
                "zero_std_frac": zero,
                "screened_frac": 0.0,
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
                "eval_pass_at_1": np.nan,
                "consumed_hash": [hashlib.sha256(str(s).encode()).hexdigest() for s in steps],
            }
        )
    )
    report = TrainingReport(
        stage="training", n_rollouts=len(steps) * 256, values={"n_steps": len(steps), "resumed_from_step": 0.0}
    )
    handed_out = plan.table[["step", "slot", "prompt_id"]].assign(predicted=np.nan, sd=np.nan, n_seen=np.nan, why=None)
    return TrainingFacts(log, consumed, report, tables.HANDED_OUT.check(handed_out))


def make_scores(rng: np.random.Generator) -> pd.DataFrame:
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


def make_issues() -> pd.DataFrame:
    rows = [
        ("pool.jsonl", 17, "empty_answer", "answer is empty after trimming", True),
        ("pool.jsonl", 214, "empty_answer", "answer is null", True),
        ("pool.jsonl", 391, "duplicate", "same prompt and answer as line 12", False),
    ]
    return tables.ISSUES.check(pd.DataFrame(rows, columns=["file", "line", "reason", "detail", "rejected"]))


def make_costs(*, training: bool) -> pd.DataFrame:
    rows = [
        ("load_prompts", 1.2, 0, 0, 0),
        ("prepare_policy", 131.0, 960, 6100, 11000),
        ("obtain_sae", 42.0, 0, 0, 400_000),
        ("extract_sae_features", 3.1, 0, 0, 31_000),
        ("train_quality_probe", 6.4, 0, 0, 9_000),
        ("cluster_prompts", 2.2, 0, 0, 0),
        ("measure_pass_rates", 9.7, 1920 if training else 0, 12_100 if training else 0, 2_600 if training else 0),
        ("calibrate_difficulty", 11.8, 0, 0, 0),
        ("plan_batches", 0.3, 0, 0, 0),
    ]
    if training:
        rows += [("train_policy", 96.4, 10_240, 64_300, 102_400), ("evaluate_policy", 31.0, 7_680, 48_800, 9_900)]
    columns = ["stage", "seconds", "n_rollouts", "n_generated_tokens", "n_prefill_tokens"]
    return tables.COSTS.check(pd.DataFrame(rows, columns=columns))
