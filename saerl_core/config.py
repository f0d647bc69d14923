"""What a person writes: one frozen section a stage; the defaults are the embedded run on a laptop."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1)]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
MEAN_BENCHMARK = "mean"  # in the scores: the unweighted mean over all benchmarks


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ColumnMap(Section):
    """Names of the columns in a user's file; None means that the file has no such column."""

    prompt: str = "prompt"
    answer: str = "answer"
    topic: str | None = "topic"
    level: str | None = "level"
    pass_rate: str | None = "pass_rate"  # noqa: S105 (the name of a column)
    quality: str | None = None


class TaskWorldConfig(Section):
    """The built-in task world: verifiable short problems."""

    n_train: Positive = 2400
    n_dev: Annotated[int, Field(ge=0)] = 240
    n_test: Positive = 480
    bad_frac: Unit = 0.2
    level_weights: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0)


class PromptsConfig(Section):
    """Where the prompts come from and what is marked in them."""

    source: Literal["task_world", "file", "hub"] = "task_world"
    task_world: TaskWorldConfig = TaskWorldConfig()
    path: str | None = None  # JSONL (also .gz), parquet or CSV; relative to the working directory
    format: Literal["auto", "jsonl", "parquet", "csv"] = "auto"
    columns: ColumnMap = ColumnMap()
    dataset: str | None = None  # Hugging Face name
    dataset_config: str | None = None
    dataset_split: str = "train"
    eval_path: str | None = None  # held-out prompts with the same columns, for evaluation
    max_rows: Positive | None = None
    max_prompt_chars: Positive = 4000
    decontaminate_against: tuple[str, ...] = ()  # files of evaluation prompts
    ngram_tokens: Annotated[int, Field(ge=3, le=50)] = 13
    coverage_threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5


class PolicyConfig(Section):
    """The policy: pre-trained here (task world or a text LM on the pool), or an existing model."""

    source: Literal["task_world", "text", "pretrained"] = "task_world"
    model: str | None = None  # source pretrained: a local folder or a Hub name
    trust_remote_code: bool = False
    chat_template: bool = False  # put every prompt into the tokenizer's chat template, as one user message
    system_prompt: str | None = None  # with chat_template: the system message
    prompt_suffix: str = ""  # appended to every prompt, e.g. how to mark the final answer
    hidden_size: Positive = 64
    n_layers: Positive = 3
    n_heads: Positive = 4
    intermediate_size: Positive = 256
    vocab_size: Positive = 2048  # source text: byte-level BPE trained on the pool
    pretrain_steps: Positive = 1650
    sloppy_steps: Annotated[int, Field(ge=0)] = 300  # task world: steps on partly wrong solutions
    batch_size: Positive = 64


class SaeConfig(Section):
    """The sparse autoencoder: trained here with sae-lens, or loaded."""

    source: Literal["train", "load"] = "train"
    path: str | None = None  # source load: a local sae-lens folder, or a public release name
    sae_id: str | None = None  # source load of a release: the SAE inside the release
    model: str | None = None  # the SAE's own model when it is not the policy: folder or Hub name
    hook_layer: Annotated[int, Field(ge=0)] | None = None  # None: the middle block
    expansion: Positive = 8  # d_sae = expansion * d_in
    k: Positive = 12  # active latents a token
    train_tokens: Positive = 400_000
    batch_size: Positive = 512
    lr: Annotated[float, Field(gt=0.0)] = 3e-3


class FeaturesConfig(Section):
    """Feature extraction."""

    pooling: Literal["mean", "max", "last"] = "mean"
    batch_tokens: Positive = 8192  # padded tokens in one forward pass: the memory bound
    max_prompt_tokens: Positive = 1024
    device: Literal["auto", "cpu", "cuda"] = "auto"  # of the SAE's model, in training and extraction


class QualityConfig(Section):
    """The quality probe."""

    labels: Literal["corruptions", "column"] = "corruptions"
    n_corruptions: Positive = 800
    folds: Annotated[int, Field(ge=2)] = 5
    drop_quantile: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1  # the lowest scores are not kept
    threshold: Unit | None = None  # instead of the quantile: keep scores >= threshold


class ClustersConfig(Section):
    """Clusters in SAE space."""

    n_clusters: Annotated[int, Field(ge=1)] = 16
    svd_components: Positive = 128
    n_init: Positive = 4


class PassRatesConfig(Section):
    """Rollouts on a small labelled subset."""

    n_labelled: Positive = 480  # many prompts with few rollouts teach more than few with many, at the same cost
    n_rollouts: Positive = 4
    temperature: Annotated[float, Field(gt=0.0)] = 1.0
    max_completion_tokens: Positive = 24


class DifficultyConfig(Section):
    """Difficulty from a small labelled subset."""

    label: Literal["pass_rate", "level", "known_pass_rate"] = "pass_rate"
    n_labelled: Positive = 1500  # labels level and known_pass_rate: rows whose label the probe may see
    folds: Annotated[int, Field(ge=2)] = 5
    l1_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    min_document_frequency: Positive = 5  # features active in fewer labelled prompts are ignored


class PlanConfig(Section):
    """Which prompts in which batch, in which order."""

    strategy: Literal["saerl", "vanilla", "difficulty"] = "saerl"
    prompts_per_step: Positive = 32
    n_steps: Positive | None = 60  # None: one epoch
    use_quality: bool = True  # saerl only: drop what the quality probe does not keep
    use_clusters: bool = True
    use_difficulty: bool = True
    grouping: Literal["cluster", "interleaved"] = "cluster"
    mix_frac: Unit = 0.125  # rho: share of a batch exchanged with its neighbour


class OpenRlhfConfig(Section):
    """The OpenRLHF backend: where its environment is, how it is started, how the GPUs are used."""

    python: str | None = None  # interpreter of the trainer's environment; None: the one on PATH of `image`
    image: str | None = None  # container image of the trainer, in place of an interpreter on this machine
    launch: Literal["process", "ray_job"] = "process"
    ray_address: str = "http://127.0.0.1:8265"  # ray_job: the cluster's job server
    env: dict[str, str] = Field(default_factory=dict)  # environment variables of the trainer, e.g. NCCL_DEBUG
    watchdog_s: Annotated[float, Field(gt=0.0)] = 3600.0  # longest silence of the trainer
    n_nodes: Positive = 1
    gpus_per_node: Positive = 8
    colocate: bool = True  # actor, reference, critic and vLLM share the GPUs and sleep in turns
    vllm_engines: Positive | None = None  # None: as many as the GPUs allow
    vllm_tensor_parallel: Positive = 1
    vllm_memory_frac: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.6
    zero_stage: Literal[0, 1, 2, 3] = 2
    adam_offload: bool = False
    packing: bool = True
    gradient_checkpointing: bool = True
    attention: str = "flash_attention_2"
    train_micro_batch: Positive = 4  # rollouts
    rollout_micro_batch: Positive = 8
    max_prompt_tokens: Positive = 1024
    critic_lr: Annotated[float, Field(gt=0.0)] = 9e-6  # ppo
    critic_value_clip: Annotated[float, Field(gt=0.0)] = 0.5
    gae_lambda: Unit = 1.0
    gae_gamma: Unit = 1.0
    overlong_buffer_tokens: Positive | None = None  # dapo: completions longer than max minus this are penalised
    overlong_penalty: Annotated[float, Field(ge=0.0)] = 1.0
    max_checkpoints: Annotated[int, Field(ge=2)] = 3
    extra_args: tuple[str, ...] = ()  # further flags of OpenRLHF; one that would break the plan is refused


class TrainingConfig(Section):
    """RL training."""

    enabled: bool = True
    backend: Literal["embedded", "openrlhf"] = "embedded"
    algorithm: Literal["grpo", "dr_grpo", "dapo", "rloo", "reinforce++", "reinforce++-baseline", "gspo", "ppo"] = "grpo"
    seed: int | None = None  # None: the root seed; set it to repeat training on the same signals
    group_size: Annotated[int, Field(ge=2)] = 8
    lr: Annotated[float, Field(gt=0.0)] = 5e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 5
    kl_coef: Annotated[float, Field(ge=0.0)] = 0.0
    clip_low: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    clip_high: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # None: clip_low, for dapo .28
    temperature: Annotated[float, Field(gt=0.0)] = 1.0
    max_completion_tokens: Positive = 24
    max_grad_norm: Annotated[float, Field(gt=0.0)] = 1.0
    micro_batch_rollouts: Positive | None = None  # rollouts in one backward pass, where memory needs it; None: all
    save_every_steps: Positive = 10
    eval_every_steps: Positive | None = None  # scores on the dev split while training; None: none
    eval_n_samples: Positive = 4
    device: Literal["auto", "cpu", "cuda"] = "auto"
    openrlhf: OpenRlhfConfig = OpenRlhfConfig()


class BenchmarkConfig(Section):
    """One named evaluation set: a file, or a split of a Hugging Face data set."""

    name: str  # as it stands in the scores; letters, digits and . _ -
    path: str | None = None  # JSONL (also .gz), parquet or CSV; relative to the working directory
    dataset: str | None = None  # in place of `path`: a Hugging Face name
    dataset_config: str | None = None
    split: str = "test"
    columns: ColumnMap = ColumnMap()
    answer_after: str | None = None  # the answer is what follows the last of these, e.g. "####" in GSM8K's solutions
    n_samples: Positive | None = None  # completions a prompt; None: evaluation.n_samples
    max_rows: Positive | None = None


class EvaluationConfig(Section):
    """Held-out evaluation before and after."""

    enabled: bool = True
    split: Literal["dev", "test"] = "test"
    n_samples: Positive = 8  # completions a prompt
    ks: tuple[Positive, ...] = (1, 8)
    temperature: Annotated[float, Field(ge=0.0)] = 1.0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    max_completion_tokens: Positive = 24
    benchmarks: tuple[BenchmarkConfig, ...] = ()  # evaluated in place of `split`


class GradingConfig(Section):
    """The one grader of labels, training and evaluation."""

    kind: Literal["task_world", "exact", "math"] = "task_world"
    timeout_s: Annotated[float, Field(gt=0.0)] = 5.0
    n_workers: Positive = 1


class GateConfig(Section):
    """What a retrained policy must show before it becomes the champion; read by `python -m pipelines retrain` only."""

    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "saerl"  # in both model registries
    min_gain: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.0  # paired, in pass@1; below 0: "not worse" is enough
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95  # of every interval; the groups of items share one
    floor_overall: Unit = 0.0  # of pass@1, also for the first champion
    max_topic_loss: Unit = 0.05  # no topic may lose more in pass@1
    min_prompts: Annotated[int, Field(ge=2)] = 20  # fewest an interval is trusted for; smaller topics are judged as one
    max_rollouts: Positive | None = None  # of the whole run, by the cost ledger
    max_generated_tokens: Positive | None = None
    contamination_must_be_clean: bool = True  # nothing that was trained on may match an evaluation item
    n_bootstrap: Annotated[int, Field(ge=1000)] = 10_000


class RunConfig(Section):
    """One run. Every section has defaults that work together: no file is needed."""

    seed: Annotated[int, Field(ge=0)] = 0
    torch_threads: Positive = 1
    prompts: PromptsConfig = PromptsConfig()
    policy: PolicyConfig = PolicyConfig()
    sae: SaeConfig = SaeConfig()
    features: FeaturesConfig = FeaturesConfig()
    quality: QualityConfig = QualityConfig()
    clusters: ClustersConfig = ClustersConfig()
    pass_rates: PassRatesConfig = PassRatesConfig()
    difficulty: DifficultyConfig = DifficultyConfig()
    plan: PlanConfig = PlanConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    grading: GradingConfig = GradingConfig()
    gate: GateConfig = GateConfig()

    @model_validator(mode="after")
    def _combinations(self) -> "RunConfig":
        """Refuse combinations that cannot work; filled in by `saerl_core.config_checks`."""
        from saerl_core.config_checks import check_combinations

        check_combinations(self)
        return self
