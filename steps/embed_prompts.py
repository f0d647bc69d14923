"""Give every prompt the short vector by which an online strategy shares what it learns."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import PromptVectorsMaterializer
from saerl_core.config.run import FeaturesConfig, GradingConfig, VectorsConfig
from saerl_core.features.likelihood import policy_likelihood
from saerl_core.records import ControlFeatures, PolicyRef, PromptVectors, SaeFeatures, StageReport
from saerl_core.signals.vectors import prompt_vectors
from tracking.runtime import stage, stage_cache, track


@step(
    experiment_tracker=True,
    cache_policy=stage_cache("embed_prompts"),
    output_materializers={"vectors": PromptVectorsMaterializer},
)
def embed_prompts(
    prompts: pd.DataFrame,
    features: SaeFeatures,
    controls: ControlFeatures,
    policy: PolicyRef,
    config: VectorsConfig,
    features_config: FeaturesConfig,
    grading: GradingConfig,
    seed: int,
    torch_threads: int,
) -> tuple[Annotated[PromptVectors, "vectors"], Annotated[StageReport, "vectors_report"]]:
    """Measure the policy's likelihood of every prompt where it is wanted, and join it to the chosen features."""
    with stage("embed_prompts", torch_threads=torch_threads) as clock:
        scored = None
        if config.use_likelihood:
            scored = policy_likelihood(prompts, policy, grading, features_config)
        vectors = prompt_vectors(prompts, features, controls, scored.table if scored else None, config, seed)
        report = StageReport(
            stage="vectors",
            notes=scored.notes if scored else (),
            n_prefill_tokens=scored.n_prefill_tokens if scored else 0,
            values={"n_prompts": float(vectors.matrix.shape[0]), "n_columns": float(vectors.matrix.shape[1])},
        )
        report = clock.stamp(report)
    track("embed_prompts", report)
    return vectors, report
