"""Give every prompt the short vector by which an online strategy shares what it learns."""

from typing import Annotated

import pandas as pd
from zenml import step

from materializers import PromptVectorsMaterializer
from saerl_core.config.run import VectorsConfig
from saerl_core.records import ControlFeatures, PromptVectors, SaeFeatures, StageReport
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
    config: VectorsConfig,
    seed: int,
    likelihoods: pd.DataFrame | None = None,
) -> tuple[Annotated[PromptVectors, "vectors"], Annotated[StageReport, "vectors_report"]]:
    """Join the chosen features to the policy's likelihood of every prompt, where the strategy wants it."""
    with stage("embed_prompts") as clock:
        vectors = prompt_vectors(prompts, features, controls, likelihoods, config, seed)
        values = {"n_prompts": float(vectors.matrix.shape[0]), "n_columns": float(vectors.matrix.shape[1])}
        report = clock.stamp(StageReport(stage="vectors", values=values))
    track("embed_prompts", report)
    return vectors, report
