"""Load the pool and the held-out prompts; mark what is odd in them."""

from typing import Annotated

import pandas as pd
from zenml import step

from saerl_core.config.run import PromptsConfig
from saerl_core.prompts.load import load_prompts as load
from saerl_core.records import PromptsReport
from steps._answers import same_answers
from tracking.runtime import stage, stage_cache, track


@step(experiment_tracker=True, cache_policy=stage_cache("load_prompts"))
def load_prompts(
    config: PromptsConfig, seed: int, fingerprint: str
) -> tuple[
    Annotated[pd.DataFrame, "prompts"],
    Annotated[pd.DataFrame, "dev_prompts"],
    Annotated[pd.DataFrame, "test_prompts"],
    Annotated[pd.DataFrame, "prompt_issues"],
    Annotated[pd.DataFrame, "contamination_matches"],
    Annotated[PromptsReport, "prompts_report"],
]:
    """Load prompts; `fingerprint` changes with the content of the input files, so that new data is not cached away."""
    with stage("load_prompts") as clock:
        found = load(config, seed, same_answers)
        report = clock.stamp(found.report)
    track("load_prompts", report)
    return found.train, found.dev, found.test, found.issues, found.matches, report
