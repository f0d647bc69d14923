"""What a run will spend, said beforehand: by hand, in words, and beside what came out."""

import pytest

from saerl_core.advice.cost import planned_costs
from saerl_core.advice.cost_words import costs_in_words, expected
from saerl_core.config.load import validate
from saerl_core.config.rollouts import OWN_SAMPLER
from saerl_core.prompts.load import load_prompts
from saerl_core.records import BenchmarksReport, Throughput
from saerl_core.report import numbers
from saerl_core.report.blocks import Table
from saerl_core.report.section_run import ledger
from saerl_core.rollouts.engines import Sampling
from saerl_core.rollouts.throughput import measure_throughput
from tests.report.factory import full_run
from tests.training.world import tiny_policy

WORLD = {"task_world": {"n_train": 200, "n_dev": 10, "n_test": 20}}
SPEED = Throughput(
    10, 40, tokens_per_second=1000.0, mean_tokens=10.0, cut_frac=0.25, engine="hf", update_ms_per_token=0.5
)


def planned(benchmarks=None, **parameters):
    config = validate({"prompts": WORLD, **parameters})
    found = load_prompts(config.prompts, 0)
    return {row.stage: row for row in planned_costs(config, found.train, found.test, benchmarks)}


def test_by_hand():
    rows = planned(
        plan={"strategy": "saerl", "prompts_per_step": 8, "n_steps": 5},
        training={"group_size": 4, "max_completion_tokens": 12},
        pass_rates={"n_labelled": 50, "n_rollouts": 6, "max_completion_tokens": 20},
        evaluation={"n_samples": 3, "ks": [1], "max_completion_tokens": 24},
    )
    assert {stage: (row.n_rollouts, row.max_tokens) for stage, row in rows.items()} == {
        "measure_pass_rates": (300, 6000),
        "train_policy": (160, 1920),
        "train_control": (160, 1920),
        "evaluate_policy": (120, 2880),  # 20 prompts x 3, before and after
        "evaluate_control": (60, 1440),
    }
    assert [stage for stage, row in rows.items() if row.is_trained] == ["train_policy", "train_control"]


def test_what_is_switched_off_costs_nothing():
    assert set(planned(training={"enabled": False}, evaluation={"enabled": False})) == {"measure_pass_rates"}
    assert set(planned(control="none")) == {"train_policy", "evaluate_policy"}, "adaptive needs no labels"


def test_benchmarks_are_evaluated_in_place_of_the_split():
    report = BenchmarksReport(stage="load_benchmarks", values={"n_a": 7.0, "n_b": 5.0})
    names = [{"name": "a", "path": "a.jsonl"}, {"name": "b", "path": "b.jsonl", "n_samples": 32}]
    rows = planned(report, evaluation={"n_samples": 2, "ks": [1], "benchmarks": names}, control="none")
    assert rows["evaluate_policy"].n_rollouts == 2 * (7 * 2 + 5 * 32)


def test_time_is_sampling_and_updates():
    rows = planned(plan={"prompts_per_step": 8, "n_steps": 5}, control="none", evaluation={"enabled": False})
    found = expected(rows["train_policy"], SPEED, prompt_tokens=6.0)
    assert found.n_tokens == 160 * 10
    assert found.seconds == pytest.approx(160 * 10 / 1000 + 160 * (10 + 6) * 0.5 / 1000)


def test_the_table_names_price_and_total():
    rows = list(planned(plan={"prompts_per_step": 8, "n_steps": 5}).values())
    text = costs_in_words(rows, SPEED, 6.0, per_hour=3600.0)
    assert text.startswith(
        "Measured here with 10 prompts x 4 completions (hf): 1,000 tokens a second; an update 0.5 ms a token; 10.0 "
        "tokens a completion, 25 % cut at the bound."
    )
    total = next(line for line in text.splitlines() if line.startswith("all"))
    seconds = sum(expected(row, SPEED, 6.0).seconds for row in rows)
    assert total.split()[-1] == f"{seconds:,.2f}"
    assert "price" not in costs_in_words(rows, SPEED, 6.0)


def test_the_machine_is_measured(tmp_path):
    found = measure_throughput(
        tiny_policy(tmp_path), ["ab", "ba"], 3, Sampling(1.0, 5, 0), OWN_SAMPLER, with_updates=True
    )
    assert (found.n_prompts, found.n_rollouts, found.engine) == (2, 6, "hf")
    assert found.tokens_per_second > 0
    assert 1 <= found.mean_tokens <= 5
    assert found.update_ms_per_token > 0


def test_the_ledger_says_what_was_planned():
    inputs = full_run(600, n_steps=12)
    table = next(block for block in ledger(inputs).blocks if isinstance(block, Table))
    said = {row.stage: row for row in planned_costs(inputs.config, inputs.train, inputs.test)}
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows if row[0] in said}
    assert rows["train_policy"]["planned"] == numbers.count(said["train_policy"].n_rollouts)
    assert rows["train_policy"]["at most"] == numbers.count(said["train_policy"].max_tokens)
