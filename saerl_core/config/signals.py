"""The SAE, its features, and the signals that are made of them: quality, clusters, difficulty and its labels."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from saerl_core.config.base import Positive, Section, Unit

Space = Literal["sae", "dense", "random_sae", "surface", "random"]


class SignalsConfig(Section):
    """Quality, clusters and difficulty of one kind; `random`: the SAE's own signals, dealt out at random."""

    space: Space = "sae"


class SaeConfig(Section):
    """The sparse autoencoder: trained here with sae-lens, or loaded."""

    source: Literal["train", "load"] = "train"
    path: str | None = None  # source load: a local sae-lens folder, or a public release name
    sae_id: str | None = None  # source load of a release: the SAE inside the release
    model: str | None = None  # the SAE's own model when it is not the policy: folder, GGUF file or Hub name
    seed: Annotated[int, Field(ge=0)] | None = None  # None: the root seed
    hook_layer: Annotated[int, Field(ge=0)] | None = None  # None: the middle block
    expansion: Positive = 8  # d_sae = expansion * d_in
    k: Positive = 12  # active latents a token
    train_tokens: Positive = 400_000  # activations that the SAE learns from
    batch_size: Positive = 512
    lr: Annotated[float, Field(gt=0.0)] = 3e-3


class FeaturesConfig(Section):
    """Feature extraction."""

    pooling: Literal["mean", "max", "last"] = "mean"  # over the tokens of a prompt
    batch_tokens: Positive = 8192  # padded tokens in one forward pass: the memory bound
    max_prompt_tokens: Positive = 1024
    device: Literal["auto", "cpu", "cuda"] = "auto"  # of the SAE's model, in training and extraction


class QualityConfig(Section):
    """The quality probe."""

    labels: Literal["corruptions", "column"] = "corruptions"
    n_corruptions: Positive = 800  # prompts broken on purpose, that the probe learns from
    folds: Annotated[int, Field(ge=2)] = 5
    drop_above: Unit = 0.95  # below the cut: prompts whose calibrated probability of being broken is above it
    drop_quantile: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None  # instead: this share, the lowest scores
    threshold: Unit | None = None  # instead of both: keep scores >= threshold


class ClustersConfig(Section):
    """Clusters in SAE space."""

    # None, or auto: as many as give a cluster four full batches, at most 16
    n_clusters: Annotated[Positive | None, BeforeValidator(lambda given: None if given == "auto" else given)] = None
    svd_components: Positive = 128  # directions that the features are reduced to before k-means
    n_init: Positive = 4  # starts of k-means; the best counts


class PassRatesConfig(Section):
    """Rollouts on a small labelled subset."""

    n_labelled: Positive = 480  # many prompts with few rollouts teach more than few with many, at the same cost
    n_rollouts: Positive = 4  # a prompt
    temperature: Annotated[float, Field(gt=0.0)] = 1.0
    max_completion_tokens: Positive = 24  # for the task world; must be said for a pretrained model


class DifficultyConfig(Section):
    """Difficulty from a small labelled subset."""

    # auto: known_pass_rate, else pass_rate (rollouts, where the policy can answer and the data bring no level), else
    # level, else likelihood
    label: Literal["auto", "pass_rate", "level", "known_pass_rate", "likelihood", "none"] = "auto"
    n_labelled: Positive = 1500  # labels level and known_pass_rate: rows whose label the probe may see
    folds: Annotated[int, Field(ge=2)] = 5
    l1_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    min_document_frequency: Positive = 5  # features active in fewer labelled prompts are ignored
