"""The machinery of the public benchmark on a small budget: run, stop, go on, report. No claim rests on this."""

import json

import numpy as np
import pytest

from benchmarks.microcosm import arms, report, run, signals
from benchmarks.microcosm.__main__ import planned
from saerl_core.config.run import (
    ClustersConfig,
    PassRatesConfig,
    PolicyConfig,
    PromptsConfig,
    QualityConfig,
    RunConfig,
    SaeConfig,
    TaskWorldConfig,
)


def line(arm, recipe, seed, accuracies, base=0, label_rollouts=0):
    rng = np.random.default_rng([seed, len(arm)])
    items = "".join(str(n) for n in rng.binomial(4, accuracies[-1], 60))
    curve = [[i * 8, label_rollouts + i * 1024, a] for i, a in enumerate(accuracies)]
    return {
        "pool": "mixed",
        "base": base,
        "arm": arm,
        "recipe": recipe,
        "seed": seed,
        "label_rollouts": label_rollouts,
        "curve": curve,
        "items": items,
        "dead": 0.5,
    }


def test_the_report_follows_from_the_results_file_alone(tmp_path):
    path = tmp_path / "test.jsonl"
    slow, fast = np.linspace(0.3, 0.5, 21), np.minimum(0.3 + np.arange(21) * 0.02, 0.5)
    rows = [line("vanilla", recipe, s, list(slow)) for recipe in ("standard", "frugal") for s in (1000, 1001, 1002)]
    rows += [line("adaptive", "frugal", s, list(fast)) for s in (1000, 1001, 1002)]
    path.write_text("\n".join(map(json.dumps, rows)) + '\n{"cut off', encoding="utf-8")
    (result,) = report.compared(path)
    saving = next(r for r in result.tuned.rows if r.arm == "adaptive").saving("n_rollouts")
    assert saving.reached
    assert 0.45 <= saving.ratio <= 0.55, "half of the rollouts, by construction"
    text = "\n".join(report.table(result))
    assert "| tuned vanilla | 3 |" in text
    assert "`adaptive`" in text
    report.figure([result], (report.STANDARD, report.TUNED, "adaptive"), tmp_path / "figure.svg")
    assert "<svg" in (tmp_path / "figure.svg").read_text()


def test_what_is_planned_is_a_whole_comparison_seed_by_seed():
    found = planned()
    assert len({w.key for w in found}) == len(found)
    first = [w for w in found[:16] if w.seed == 1000 and w.base == 0]
    assert {(w.arm.name, w.recipe) for w in first} >= {("vanilla", "standard"), ("vanilla", "frugal")}
    assert {w.pool for w in first} == set(arms.POOLS)
    main = [w for w in found if w.arm.is_main]
    assert len(main) == 8 * 2 * 10, "seven arms and the standard shuffle, two pools, ten runs"
    assert found[: len(main)] == main


@pytest.mark.slow
def test_two_arms_two_seeds_stopped_and_continued(tmp_path, monkeypatch):
    small = RunConfig(
        prompts=PromptsConfig(task_world=TaskWorldConfig(n_train=200, n_dev=12, n_test=12)),
        policy=PolicyConfig(pretrain_steps=30, sloppy_steps=0),
        sae=SaeConfig(train_tokens=4000, expansion=2),
        quality=QualityConfig(n_corruptions=60),
        clusters=ClustersConfig(n_clusters=2),
        pass_rates=PassRatesConfig(n_labelled=40, n_rollouts=2, max_completion_tokens=6),
    )
    monkeypatch.setattr(signals, "run_config", lambda pool, base: small)
    wanted = [
        run.Wanted("mixed", 0, arms.ARMS[name], "frugal", seed, budget=1024 * 2)
        for seed in (0, 1)
        for name in ("vanilla", "oracle_learnability")
    ]
    path = tmp_path / "dev.jsonl"
    said = []
    for some in (wanted[:1], wanted):
        assert run.run(some, path, split="dev", say=said.append, root=tmp_path / "state", n_workers=1) == ()
    lines = run.read_lines(path)
    assert (lines[0]["arm"], lines[0]["seed"]) == ("vanilla", 0)
    assert sorted((r["arm"], r["seed"]) for r in lines) == [
        ("oracle_learnability", 0),
        ("oracle_learnability", 1),
        ("vanilla", 0),
        ("vanilla", 1),
    ]
    assert any(text.startswith("1 of 4 trials stand in dev.jsonl; 3 are left") for text in said)
    for row in lines:
        assert row["curve"][-1][1] == 2048
        assert len(row["items"]) == 12
