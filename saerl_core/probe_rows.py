"""Rows of the probes' tables; `saerl_core.records` hands them on."""

from pydantic import BaseModel, ConfigDict

FEW_ROWS = 100  # figures on fewer held-out rows than that are no headline: out-of-fold ones stand in front


class ProbeRow(BaseModel):
    """One row of a probe table: the same folds, another feature set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: str  # sae, dense, random_sae, tfidf, length
    scores: dict[str, float]  # metric -> out-of-fold value
    n: int


class FeatureWeight(BaseModel):
    """What a linear probe makes of one SAE latent; its columns are log(1 + activation)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latent: int
    weight: float
    effect: float  # weight x standard deviation of the column: how far one of them moves the prediction


class WorstPrompt(BaseModel):
    """A usable prompt of a low quality score, as the page shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_id: str
    score: float
    broken: float | None  # calibrated probability of being broken; None: nothing could be calibrated
    kept: bool
