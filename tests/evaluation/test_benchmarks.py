"""Several named benchmarks: each with its own samples, paired gains, and a mean in which they count alike."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import MEAN_BENCHMARK, BenchmarkConfig, EvaluationConfig, GradingConfig, PolicyConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.evaluation.estimators import mean_of_estimates
from saerl_core.evaluation.evaluate import evaluate_policies
from saerl_core.prompts.benchmarks import load_benchmarks
from saerl_core.records import EvaluationReport
from saerl_core.rollouts import engines
from saerl_core.tables import ITEM_SCORES, PROMPTS, SCORES
from tests.evaluation.scripted import AFTER, BEFORE, ScriptedSampler, made

BIG = BenchmarkConfig(name="big", path="a")  # prompts 0 ... 3 of the script, 4 samples each
SMALL = BenchmarkConfig(name="small", path="b", n_samples=2)  # prompts 1 and 2, 2 samples each
CONFIG = EvaluationConfig(n_samples=4, ks=(1, 4), top_p=0.9, benchmarks=(BIG, SMALL))
Tables = tuple[pd.DataFrame, pd.DataFrame, EvaluationReport]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(engines, "Sampler", ScriptedSampler)


def prompts(**texts: str) -> pd.DataFrame:
    rows = [
        {"benchmark": name, "prompt_id": f"p{text}", "prompt": text, "answer": "7", "topic": None, "level": None}
        for name, each in texts.items()
        for text in each
    ]
    return pd.DataFrame(rows).assign(usable=True)


def run(config: EvaluationConfig = CONFIG, **changes: object) -> Tables:
    loaded = changes.pop("benchmarks", prompts(small="21", big="3012"))
    after = changes.pop("after", AFTER)
    return evaluate_policies(BEFORE, after, PROMPTS.empty(), config, GradingConfig(), 5, benchmarks=loaded, **changes)


@pytest.mark.usefixtures("scripted")
def test_scores_of_two_benchmarks_by_hand():
    table, items, _ = run()
    pd.testing.assert_frame_equal(table, SCORES.check(table))
    pd.testing.assert_frame_equal(items, ITEM_SCORES.check(items))
    cells = table[table["slice"] == "all"].set_index(["policy", "benchmark", "metric"])
    # big, of 4: 0, 1, 2, 3 right before and 2, 1, 4, 3 after; small, of 2: 1 and 2 before, 1 and 2 after
    assert cells.loc[("before", "big", "pass@1"), "value"] == pytest.approx(6 / 16)
    assert cells.loc[("after", "big", "avg@4"), "value"] == pytest.approx(10 / 16)
    assert cells.loc[("before", "big", "pass@4"), "value"] == pytest.approx(3 / 4)
    assert cells.loc[("before", "small", "pass@1"), "value"] == pytest.approx(3 / 4)
    assert cells.loc[("before", "small", "avg@2"), "k"] == 2
    assert cells.loc[("before", MEAN_BENCHMARK, "pass@1"), "value"] == pytest.approx((6 / 16 + 3 / 4) / 2)
    assert cells.loc[("before", MEAN_BENCHMARK, "pass@1"), "n_prompts"] == 6
    errors = [np.std([0, 1, 2, 3], ddof=1) / 4 / 2, np.std([0.5, 1.0], ddof=1) / 2**0.5]
    assert cells.loc[("before", MEAN_BENCHMARK, "pass@1"), "stderr"] == pytest.approx(np.hypot(*errors) / 2)
    assert set(cells.loc["before"].index) == {
        *(("big", m) for m in ("pass@1", "pass@4", "avg@4")),
        *(("small", m) for m in ("pass@1", "avg@2")),  # two samples cannot estimate pass@4
        (MEAN_BENCHMARK, "pass@1"),
    }


@pytest.mark.usefixtures("scripted")
def test_avg_at_k_is_pass_at_1_of_all_samples():
    table, items, _ = run()
    rates = (items["n_correct"] / items["n_samples"]).groupby([items["policy"], items["benchmark"]]).mean()
    for metric in ("pass@1", "avg@4", "avg@2"):
        rows = table[(table["metric"] == metric) & (table["slice"] == "all") & (table["benchmark"] != MEAN_BENCHMARK)]
        found = rows.set_index(["policy", "benchmark"])["value"]
        assert found.to_dict() == pytest.approx(rates[found.index].to_dict())


@pytest.mark.usefixtures("scripted")
def test_gains_are_paired_in_each_benchmark_and_count_alike_in_the_mean():
    _, _, report = run()
    big = np.array([2, 0, 2, 0]) / 4
    assert report.values["big/gain_pass_at_1"] == report.values["big/gain_avg_at_4"] == pytest.approx(big.mean())
    assert report.values["big/gain_pass_at_1_stderr"] == pytest.approx(big.std(ddof=1) / 2)
    assert report.values["small/gain_pass_at_1"] == 0.0
    assert report.values["small/gain_pass_at_1_stderr"] == 0.0
    assert report.values["gain_pass_at_1"] == pytest.approx(big.mean() / 2)  # not weighted with 4 and 2 prompts
    assert report.values["gain_pass_at_1_stderr"] == pytest.approx(big.std(ddof=1) / 2 / 2)
    assert report.values["small/n_prompts"] == 2
    assert report.values["n_prompts"] == 6
    assert report.values["small/truncated_frac_before"] == 1 / 2
    assert report.n_rollouts == 2 * (4 * 4 + 2 * 2)
    assert "gain_pass_at_4" not in report.values
    assert "big/gain_pass_at_4" in report.values
    assert "eval/big/avg_at_4_after" in report.metrics("eval")


@pytest.mark.usefixtures("scripted")
def test_one_model_a_policy_answers_all_benchmarks_in_the_order_of_the_configuration():
    run()
    assert [s.asked for s in made] == 2 * [[(["0", "1", "2", "3"], 4), (["1", "2"], 2)]]
    assert made[0].seed == made[1].seed
    assert made[0].settings["top_p"] == 0.9


@pytest.mark.usefixtures("scripted")
def test_one_benchmark_has_no_mean_beside_it():
    table, _, report = run(CONFIG.model_copy(update={"benchmarks": (BIG,)}))
    assert set(table["benchmark"]) == {"big"}
    assert report.values["gain_pass_at_1"] == report.values["big/gain_pass_at_1"] == pytest.approx(1 / 4)


@pytest.mark.usefixtures("scripted")
def test_the_split_is_evaluated_only_where_no_benchmark_is_named():
    held_out = prompts(x="0").drop(columns="benchmark")
    config = EvaluationConfig(n_samples=4, ks=(1,))
    table, _, report = evaluate_policies(BEFORE, AFTER, held_out, config, GradingConfig(), 5)
    assert set(table["benchmark"]) == {"test"}
    assert set(table["metric"]) == {"pass@1"}
    assert not [name for name in report.values if "/" in name or "avg" in name]
    table, *_ = evaluate_policies(
        BEFORE, AFTER, held_out, CONFIG, GradingConfig(), 5, benchmarks=prompts(big="01", small="12")
    )
    assert "test" not in set(table["benchmark"])


@pytest.mark.usefixtures("scripted")
def test_without_training_there_is_no_gain():
    table, _, report = run(after=None)
    assert set(table["policy"]) == {"before"}
    assert not [name for name in report.values if "after" in name or "gain" in name]


@pytest.mark.usefixtures("scripted")
def test_what_cannot_be_evaluated_is_refused_before_any_work():
    loaded = prompts(big="01", small="12")
    loaded.loc[0, "usable"] = False
    *_, report = run(benchmarks=loaded)
    assert report.notes == ("1 prompts of benchmark 'big' are not usable and were not evaluated; their flags say why",)
    made.clear()
    for table in (None, loaded[:2], loaded.assign(usable=False)):
        with pytest.raises(DataError, match=r"benchmark '(big|small)' has no usable prompt .*evaluation\.benchmarks"):
            run(benchmarks=table)
    with pytest.raises(ConfigError, match="pass@9 cannot be estimated from 4"):
        run(CONFIG.model_copy(update={"ks": (9,)}))
    assert made == []


def test_mean_of_estimates_by_hand():
    assert mean_of_estimates([(0.2, 0.03), (0.4, 0.04)]) == (pytest.approx(0.3), pytest.approx(0.05 / 2))
    mean, stderr = mean_of_estimates([(0.2, float("nan")), (0.4, 0.04)])
    assert mean == pytest.approx(0.3)
    assert np.isnan(stderr)


def test_real_benchmarks_with_a_tiny_policy(shared_data: Path, tmp_path: Path):
    """Real prompts through reading, sampling with top-p and the math grader; a random policy solves hardly any."""
    from saerl_core.policy.model import build_model
    from saerl_core.policy.storage import save_policy
    from saerl_core.policy.text import train_tokenizer

    named = tuple(
        BenchmarkConfig(name=name, path=str(shared_data / f"{file}.jsonl.gz"), max_rows=12, n_samples=n)
        for name, file, n in (("gsm8k", "gsm8k_test", None), ("math500", "math500", 3))
    )
    config = EvaluationConfig(n_samples=2, ks=(1, 2), top_p=0.95, max_completion_tokens=8, benchmarks=named)
    loaded = load_benchmarks(config.benchmarks, 4000).table
    tokenizer = train_tokenizer(list(loaded["prompt"]), 300)
    tiny = PolicyConfig(hidden_size=16, n_layers=1, n_heads=2, intermediate_size=32)
    policies = [
        save_policy(build_model(tiny, tokenizer, 2048, seed), tokenizer, tmp_path / str(seed)) for seed in (0, 1)
    ]
    table, items, report = evaluate_policies(
        *policies, PROMPTS.empty(), config, GradingConfig(kind="math"), 0, benchmarks=loaded
    )
    assert {"gsm8k", "math500", MEAN_BENCHMARK} == set(table["benchmark"])
    assert {"avg@2", "avg@3", "pass@1", "pass@2"} == set(table["metric"])
    assert (table["value"] < 0.3).all()
    assert len(items) == 2 * 24
    assert any(s.startswith("topic=") for s in table.loc[table["benchmark"] == "math500", "slice"])
    assert report.n_rollouts == 2 * (12 * 2 + 12 * 3)
    assert report.n_generated_tokens > 0
    assert report.values["math500/n_prompts"] == 12
