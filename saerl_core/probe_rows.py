"""Rows of the probes' tables; `saerl_core.records` hands them on."""

from pydantic import BaseModel, ConfigDict

FEW_ROWS = 100  # figures on fewer held-out rows than that are no headline: out-of-fold ones stand in front


class ProbeRow(BaseModel):
    """One row of a probe table: the same folds, another feature set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: str  # sae, dense, random_sae, tfidf, length
    scores: dict[str, float]  # metric -> out-of-fold value
    n: int


class WorstPrompt(BaseModel):
    """A usable prompt of a low quality score, as the page shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_id: str
    score: float
    broken: float | None  # calibrated probability of being broken; None: nothing could be calibrated
    kept: bool
