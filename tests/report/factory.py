"""Records of a run that never happened: plausible numbers, every table valid against its schema."""

from dataclasses import replace

import numpy as np
import pandas as pd

from saerl_core import tables
from saerl_core.config.run import RunConfig
from saerl_core.records import (
    EvaluationReport,
    FeaturesReport,
    PassRatesReport,
    PlanReport,
    PolicyReport,
    PromptsReport,
    SaeReport,
)
from saerl_core.report.inputs import ReportInputs, RunFacts, SaeFacts
from tests.report.synthetic_reports import (
    make_clusters_report,
    make_difficulty_report,
    make_feature_names,
    make_policy_report,
    make_quality_report,
    make_watch_report,
)
from tests.report.synthetic_tables import (
    make_costs,
    make_issues,
    make_pass_rates,
    make_plan,
    make_prompts,
    make_scores,
    make_signals,
    make_training,
)

HOSTILE = "<script>alert('planted')</script><img src=x onerror=alert(1)>"


def make_sae_report(rng: np.random.Generator) -> SaeReport:
    """Make a healthy SAE's report."""
    curve = ((s * 20, 2.2 * float(np.exp(-s / 9)) + 0.35 + 0.03 * float(rng.normal())) for s in range(40))
    values = {"l0": 12.0, "explained_variance": 0.874, "dead_frac": 0.041, "d_sae": 512, "mse": 0.013}
    return SaeReport(stage="sae", values=values, loss_curve=tuple(curve))


def make_plan_report(n_steps: int) -> PlanReport:
    """Make the report of a plan with a residual pool."""
    return PlanReport(
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
    )


def make_matches(train: pd.DataFrame) -> pd.DataFrame:
    """Make an exact and a partial contamination match of the first two prompts."""
    first = train.iloc[0]
    return tables.MATCHES.check(
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


def full_run(n: int = 1200, n_steps: int = 40, seed: int = 0) -> ReportInputs:
    """Make the records of an embedded run: task world, training and evaluation on."""
    rng = np.random.default_rng(seed)
    train = make_prompts(n, rng, with_topics=True)
    table, decisions, clusters, difficulty, quality = make_signals(train, rng, n_steps, batch=32)
    plan = make_plan(table, decisions, 32)
    rates = make_pass_rates(difficulty, rng)
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
        test=make_prompts(480, rng, with_topics=True, prefix="t"),
        issues=make_issues(),
        matches=tables.MATCHES.empty(),
        prompts_report=PromptsReport(stage="prompts", counts={"n_rows": n + 3, "n_train": n, "n_rejected": 2}),
        policy_report=make_policy_report(),
        sae=SaeFacts("ab" * 32, "blocks.1.hook_resid_post", 512, "topk"),
        sae_report=make_sae_report(rng),
        features_report=FeaturesReport(
            stage="features", values={"n_prompts": n, "nnz_per_row": 71.4, "l0": 12.0, "prompts_per_s": 2100.0}
        ),
        quality=quality,
        quality_report=make_quality_report(),
        clusters=clusters,
        clusters_report=make_clusters_report(train, clusters, rng),
        difficulty=difficulty,
        difficulty_report=make_difficulty_report(),
        plan=plan,
        plan_report=make_plan_report(n_steps),
        costs=make_costs(training=True),
        feature_names=make_feature_names(train),
        watch_report=make_watch_report(),
        pass_rates=rates,
        pass_rates_report=PassRatesReport(
            stage="pass_rates", values={"n_labelled": len(rates), "mean_pass_rate": 0.31}
        ),
        training=make_training(plan, rng),
        scores=make_scores(rng),
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
    report = base.difficulty_report
    return replace(
        base,
        config=config,
        train=tables.PROMPTS.check(train),
        test=tables.PROMPTS.empty(),
        matches=make_matches(train),
        quality_report=quality.model_copy(update={"values": no_truth}),
        clusters_report=base.clusters_report.model_copy(update={"cards": cards, "values": {"silhouette": 0.12}}),
        policy_report=PolicyReport(
            stage="policy", loss_curve=tuple((s * 10, 6 * float(np.exp(-s / 12)) + 2.1) for s in range(50))
        ),
        difficulty_report=report.model_copy(update={"label": "level", "held_out_table": report.table}),
        costs=make_costs(training=False),
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
            **{name: {"max_completion_tokens": 64} for name in ("pass_rates", "training", "evaluation")},
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
        feature_names=base.feature_names.assign(name=HOSTILE, examples=HOSTILE),
        facts=replace(base.facts, run_name=HOSTILE, command=f"run --name {HOSTILE}", versions={HOSTILE: HOSTILE}),
        prompts_report=base.prompts_report.model_copy(update={"notes": (HOSTILE,)}),
        sae=replace(base.sae, model=HOSTILE),
    )
