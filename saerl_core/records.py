"""What one room hands to another: frozen records, arrays with their keys, one report a stage."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import BaseModel, Field
from scipy.sparse import csr_matrix

from saerl_core.config.run import GradingConfig, TrainingConfig
from saerl_core.errors import DataError
from saerl_core.probe_rows import FeatureWeight, ProbeRow, WorstPrompt
from saerl_core.tables import HANDED_OUT


@dataclass(frozen=True)
class ExportedPlans:
    """A plan as other trainers read it: one folder a format, below `folder` and named like it."""

    folder: Path
    formats: tuple[str, ...]


class StageReport(BaseModel, frozen=True, extra="forbid"):
    """Headline numbers of one stage and what it cost; subclasses add fields, `metrics` flattens them for MLflow."""

    stage: str
    seconds: float = 0.0  # wall clock, set by the caller that ran the stage
    n_rollouts: int = 0
    n_generated_tokens: int = 0
    n_prefill_tokens: int = 0
    notes: tuple[str, ...] = ()  # fallbacks taken and warnings, in sentences for the report
    values: dict[str, float] = Field(default_factory=dict)  # metric name without the prefix -> value

    def metrics(self, prefix: str) -> dict[str, float]:
        """Return `values` under `prefix/`, finite ones only (MLflow draws no NaN), `@` spelt out (it takes none)."""
        return {f"{prefix}/{k.replace('@', '_at_')}": float(v) for k, v in self.values.items() if np.isfinite(v)}


@dataclass(frozen=True)
class PromptSet:
    """The pool to plan over, the held-out splits, and everything that was odd in the input."""

    train: pd.DataFrame  # tables.PROMPTS
    dev: pd.DataFrame  # tables.PROMPTS, for tuning; may be empty
    test: pd.DataFrame  # tables.PROMPTS, reported; may be empty
    issues: pd.DataFrame  # tables.ISSUES
    matches: pd.DataFrame  # tables.MATCHES
    report: "PromptsReport"


@dataclass(frozen=True)
class PromptFormat:
    """How a prompt of the pool becomes what the policy reads; the same for labels, training and evaluation."""

    chat_template: bool = False
    system_prompt: str | None = None
    prompt_suffix: str = ""


@dataclass(frozen=True)
class PolicyRef:
    """A causal LM in Hugging Face format with its tokenizer: a local folder, or a Hub name."""

    path: str
    policy_id: str  # sha256 of weights and config, or the Hub name with its revision
    is_local: bool = True
    trust_remote_code: bool = False  # run Python code that comes with the model; only where the configuration says so
    prompt_format: PromptFormat = PromptFormat()


@dataclass(frozen=True)
class SaeRef:
    """A sparse autoencoder in sae-lens' folder format (cfg.json + sae_weights.safetensors)."""

    path: Path
    sae_id: str  # sha256 of the weights
    model: str | None  # Hub name or folder of the model it was trained on; None: the policy itself
    hook_layer: int  # block index; the SAE reads the residual stream after that block
    d_in: int
    d_sae: int
    architecture: str  # topk, jumprelu, standard ...

    @property
    def hook_name(self) -> str:
        """Name of the hook point in TransformerLens' spelling."""
        return f"blocks.{self.hook_layer}.hook_resid_post"


@dataclass(frozen=True)
class FeatureMeta:
    """Where a feature matrix comes from."""

    model: str
    hook_name: str
    sae_id: str
    pooling: str
    l0: float  # mean number of active latents a token


@dataclass(frozen=True)
class SaeFeatures:
    """One sparse row a prompt: `matrix` is CSR `n x d_sae`, float32, >= 0, row i belongs to `prompt_ids[i]`."""

    prompt_ids: tuple[str, ...]
    matrix: csr_matrix
    meta: FeatureMeta

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit and values that no SAE produces."""
        if self.matrix.shape[0] != len(self.prompt_ids):
            raise DataError(f"features have {self.matrix.shape[0]} rows for {len(self.prompt_ids)} prompt ids")
        if not np.isfinite(self.matrix.data).all():
            raise DataError("features hold NaN or infinite values; the model's activations are not finite")

    def rows(self, prompt_ids: list[str]) -> csr_matrix:
        """Return the rows of the given prompts in their order; `DataError` if one has no features."""
        where = {p: i for i, p in enumerate(self.prompt_ids)}
        try:
            index = [where[p] for p in prompt_ids]
        except KeyError as error:
            raise DataError(f"prompt {error.args[0]} has no features; extract features for the whole pool") from error
        return self.matrix[index]


@dataclass(frozen=True)
class ControlFeatures:
    """What the SAE must beat, from the same forward pass: dense activations and a frozen random SAE."""

    prompt_ids: tuple[str, ...]
    dense: Float[np.ndarray, "n d_in"]
    random_sae: csr_matrix
    concentration: Float[np.ndarray, " n"] | None = None  # mean cosine of a prompt's tokens; None: not measured


@dataclass(frozen=True)
class LinearProbe:
    """A linear model on SAE features: score = log1p(x) @ weights + intercept (then a sigmoid for a classifier)."""

    name: str
    weights: Float[np.ndarray, " d_sae"]
    intercept: float


@dataclass(frozen=True)
class PromptVectors:
    """What an online strategy knows of every prompt before training: one short dense row each."""

    prompt_ids: tuple[str, ...]
    matrix: Float[np.ndarray, "n d"]


@dataclass(frozen=True)
class TrainJob:
    """All that a trainer needs beside the curriculum. A killed job started again with the same folder resumes."""

    policy: PolicyRef
    prompts: pd.DataFrame  # tables.PROMPTS; the curriculum names rows of it
    config: TrainingConfig
    grading: GradingConfig
    n_steps: int
    prompts_per_step: int
    seed: int
    curriculum_hash: str  # plan hash; a checkpoint of another plan is refused
    work_dir: Path  # checkpoints live here; the final policy too
    eval_prompts: pd.DataFrame | None = None  # tables.PROMPTS; dev split, for scores while training
    max_rollouts: int | None = None  # no batch is asked for that would go beyond it; None: `n_steps` batches


@dataclass(frozen=True)
class TrainResult:
    """What training left behind."""

    policy: PolicyRef
    log: pd.DataFrame  # tables.TRAINING_LOG
    consumed: pd.DataFrame  # tables.CONSUMED
    report: "TrainingReport"
    handed_out: pd.DataFrame = field(default_factory=HANDED_OUT.empty)  # no backend fills it: `training.run` does


class Boilerplate(BaseModel, frozen=True, extra="forbid"):
    """A passage of evaluation items that says nothing about a leak, as it stands in many problems."""

    text: str  # in the words that are compared
    n_items: int  # different evaluation items that hold it
    n_prompts: int | None  # different prompts of the pool that hold its most frequent n-gram; None: it has none


class PromptsReport(StageReport):
    """Counts for the data card."""

    counts: dict[str, int] = Field(default_factory=dict)  # n_rows, n_train, n_rejected, n_duplicate, n_<flag> ...
    boilerplate: tuple[Boilerplate, ...] = ()  # set aside when the pool was compared with evaluation sets


class BenchmarksReport(StageReport):
    """values: n_<name of a benchmark>, its prompts that can be evaluated."""


class PolicyReport(StageReport):
    """How the policy came to be, and how competent it is (values: pass@1, pass@8 by level where known)."""

    loss_curve: tuple[tuple[int, float], ...] = ()  # (step, loss)


class SaeReport(StageReport):
    """SAE health; values: l0, explained_variance, dead_frac, d_sae, mse."""

    loss_curve: tuple[tuple[int, float], ...] = ()


class FeaturesReport(StageReport):
    """values: n_prompts, nnz_per_row, l0, n_dropped_tokens, prompts_per_s."""


class QualityReport(StageReport):
    """values: auc, pearson_r, keep_frac, drop_frac, auc_<kind of corruption>; table: SAE and baselines, same folds."""

    table: tuple[ProbeRow, ...] = ()
    worst: tuple[WorstPrompt, ...] = ()  # the lowest scores, the lowest first
    weights: tuple[FeatureWeight, ...] = ()  # of the SAE probe, those that are not 0; positive: speaks for quality


class ClusterCard(BaseModel, frozen=True, extra="forbid"):
    """What a person reads about one cluster."""

    cluster_id: int
    size: int
    top_features: tuple[tuple[int, float], ...]  # (SAE latent, lift over the pool mean)
    nearest_prompts: tuple[str, ...]
    main_topic: str | None
    main_topic_frac: float | None


class ClustersReport(StageReport):
    """values: n_clusters, silhouette, nmi_topic, nmi_level, smallest, largest; a 2-D map of a sample of prompts."""

    cards: tuple[ClusterCard, ...] = ()
    map_points: tuple[tuple[float, float, int], ...] = ()  # (x, y, cluster_id)
    map_prompts: tuple[str, ...] = ()  # prompt_id of each point


class PassRatesReport(StageReport):
    """values: n_labelled, mean_pass_rate, zero_variance_frac, unknown_frac."""


class DifficultyReport(StageReport):
    """values: spearman, r2, mae, spearman_within; table: SAE and baselines on the same folds."""

    table: tuple[ProbeRow, ...] = ()
    held_out_table: tuple[ProbeRow, ...] = ()  # unlabelled rows whose true label is known, where there are any
    label: str = "pass_rate"
    weights: tuple[
        FeatureWeight, ...
    ] = ()  # of the SAE probe, those that are not 0; positive: speaks for a hard prompt


class PlanReport(StageReport):
    """values: n_steps, n_prompts, coherence, coverage, mixed_frac, difficulty_trend, left_out."""


class TrainingReport(StageReport):
    """values: reward_first, reward_last, zero_std_frac_mean, n_steps, resumed_from_step."""


class EvaluationReport(StageReport):
    """values: pass_at_1_before, pass_at_1_after, gain, gain_stderr ..."""


class FeatureShift(BaseModel, frozen=True, extra="forbid"):
    """One latent in answers before and after training."""

    latent: int
    before: float  # share of the answers in which it fires
    after: float
    z: float  # of the difference, over the answers that differ in it; above 0: it rose
    is_alarm: bool  # beyond what chance gives among so many latents


class WatchReport(StageReport):
    """values: n_answers, n_answers_changed, n_latents, n_moved, and the last two of a random SAE."""

    shifts: tuple[FeatureShift, ...] = ()  # those that rose most, then those that fell most


@dataclass(frozen=True)
class Throughput:
    """What was measured; speeds hold for this machine, this engine and batches of this size."""

    n_prompts: int
    n_rollouts: int
    tokens_per_second: float  # generated
    mean_tokens: float  # a completion
    cut_frac: float  # completions that ended at the bound
    engine: str
    update_ms_per_token: float | None = None  # forward and backward, prompt and completion; None: not measured
    start_s: float = 0.0  # seconds until an engine of its own is there, at every stage that samples with it
