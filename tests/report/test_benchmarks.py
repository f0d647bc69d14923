"""Several benchmarks on the page: each by name, and the headline is their mean."""

from dataclasses import replace

import pandas as pd
import pytest

from saerl_core import tables
from saerl_core.config.run import MEAN_BENCHMARK, BenchmarkConfig, EvaluationConfig, RunConfig
from saerl_core.records import BenchmarksReport, EvaluationReport
from saerl_core.report import facts
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.page import render_report
from tests.report.checking import read
from tests.report.factory import full_run


@pytest.fixture
def inputs() -> ReportInputs:
    named = (BenchmarkConfig(name="gsm8k", path="a"), BenchmarkConfig(name="aime24", path="b", n_samples=32))
    config = EvaluationConfig(n_samples=4, ks=(1,), top_p=0.95, benchmarks=named)
    rows = []
    for policy, gsm8k, aime24 in (("before", 0.5, 0.1), ("after", 0.6, 0.3)):
        for name, metric, k, value, n in (
            ("gsm8k", "pass@1", 1, gsm8k, 100),
            ("gsm8k", "avg@4", 4, gsm8k, 100),
            ("aime24", "pass@1", 1, aime24, 30),
            ("aime24", "avg@32", 32, aime24, 30),
            (MEAN_BENCHMARK, "pass@1", 1, (gsm8k + aime24) / 2, 130),
        ):
            rows.append((policy, name, "all", metric, k, value, 0.02, n))
    return replace(
        full_run(400, n_steps=4),
        config=RunConfig(evaluation=config),
        scores=tables.SCORES.check(pd.DataFrame(rows, columns=list(tables.SCORES.columns))),
        evaluation_report=EvaluationReport(stage="evaluation", values={"gain_pass_at_1_stderr": 0.03}),
        benchmarks_report=BenchmarksReport(stage="load_benchmarks", notes=("Benchmark 'gsm8k': 1 row is rejected.",)),
    )


def test_the_headline_is_the_mean(inputs: ReportInputs) -> None:
    gain = facts.gain_of(inputs)
    assert gain is not None
    assert (gain.before, gain.after, gain.stderr, gain.n_prompts) == (
        pytest.approx(0.3),
        pytest.approx(0.45),
        0.03,
        130,
    )
    sentence = "On 130 held-out prompts, mean pass@1 over 2 benchmarks rose from 30.0 % to 45.0 %: +15.0 points"
    assert sentence in facts.gain_sentence(gain)


def test_the_section_names_every_benchmark(inputs: ReportInputs) -> None:
    page = read(render_report(inputs))
    assert page.errors == []
    text = page.texts["evaluation"]
    assert "at temperature 1 and top-p 0.95: gsm8k 4, aime24 32" in text
    assert "gsm8k: pass@1 before and after" in text
    assert "aime24: pass@1 before and after" in text
    assert "avg@32" in text
    assert "mean: " not in text
    assert "Benchmark 'gsm8k': 1 row is rejected." in page.texts["headline"]


def test_a_split_is_told_as_before(inputs: ReportInputs) -> None:
    text = read(render_report(full_run(400, n_steps=4))).texts["evaluation"]
    assert "8 completions a prompt at temperature 1 on the test split. Whiskers are one standard error." in text
    assert "avg@k" not in text
