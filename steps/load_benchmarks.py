"""Load the named benchmarks that the policy is evaluated on, before any time is spent on training."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import EvaluationConfig
from saerl_core.prompts.benchmarks import load_benchmarks as load
from saerl_core.records import BenchmarksReport
from steps._answers import same_answers
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("load_benchmarks"))
def load_benchmarks(
    config: EvaluationConfig, max_prompt_chars: int, fingerprint: str
) -> tuple[
    Annotated[pd.DataFrame, "benchmark_prompts"],
    Annotated[pd.DataFrame, "benchmark_issues"],
    Annotated[BenchmarksReport, "benchmarks_report"],
]:
    """Load benchmarks; `fingerprint` changes with the content of their files."""
    with stage("load_benchmarks") as clock:
        found = load(config.benchmarks, max_prompt_chars, same_answers)
        report = clock.stamp(found.report)
    track("load_benchmarks", report)
    return found.table, found.issues, report
