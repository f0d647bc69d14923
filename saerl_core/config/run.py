"""What a person writes: one frozen section a stage; the defaults are the embedded run on a laptop."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from saerl_core.config.base import MEAN_BENCHMARK, Positive, Section, Unit
from saerl_core.config.compare import ArmConfig, CompareConfig
from saerl_core.config.grading import GradingConfig
from saerl_core.config.openrlhf import OpenRlhfConfig
from saerl_core.config.plan import PlanConfig, StrategyField, StrategySettings
from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.config.shards import ShardsConfig
from saerl_core.config.signals import (
    ClustersConfig,
    DifficultyConfig,
    FeaturesConfig,
    PassRatesConfig,
    QualityConfig,
    SaeConfig,
    SignalsConfig,
)
from saerl_core.config.training import TrainingConfig
from saerl_core.config.vectors import VectorsConfig
from saerl_core.flags import ALWAYS, UNUSABLE
from saerl_core.plan.strategies.lookup import rests_on_labels

__all__ = [
    "CONTROL_STRATEGY",
    "MEAN_BENCHMARK",
    "ArmConfig",
    "BenchmarkConfig",
    "ClustersConfig",
    "ColumnMap",
    "CompareConfig",
    "DifficultyConfig",
    "EvaluationConfig",
    "EverydayConfig",
    "FeaturesConfig",
    "GateConfig",
    "GradingConfig",
    "OpenRlhfConfig",
    "PassRatesConfig",
    "PlanConfig",
    "PolicyConfig",
    "Positive",
    "PromptsConfig",
    "QualityConfig",
    "RunConfig",
    "SaeConfig",
    "Section",
    "SignalsConfig",
    "StrategyField",
    "StrategySettings",
    "TaskWorldConfig",
    "TrainingConfig",
    "Unit",
    "VectorsConfig",
]

CONTROL_STRATEGY = "vanilla"  # the shuffle that every strategy is measured against
UNTRAINED_STRATEGY = "saerl"  # the default where nothing is trained


class ColumnMap(Section):
    r"""Names of the columns in a user's file; None means that the file has no such column.

    A dotted path goes into nested columns (`reward_model.ground_truth`); braces make a template over several columns
    (`"{question}\\n{options}"`). Without prompt and answer, the layout of the file is recognised.
    """

    prompt: str = "prompt"
    answer: str = "answer"
    topic: str | None = "topic"
    level: str | None = "level"
    pass_rate: str | None = "pass_rate"  # noqa: S105 (the name of a column)
    quality: str | None = None
    source: str | None = "source"  # where the prompt comes from; without a value: the name of the file
    licence: str | None = "license"  # or "licence", where there is no column of this name

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what nobody has written: a step that reads this again must still see that the layout is open."""
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}


class TaskWorldConfig(Section):
    """The built-in task world: verifiable short problems."""

    n_train: Positive = 2400  # problems of the pool
    n_dev: Annotated[int, Field(ge=0)] = 240
    n_test: Positive = 480
    bad_frac: Unit = 0.2  # share of the pool that is broken on purpose
    level_weights: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0)  # shares, easiest first


class EverydayConfig(TaskWorldConfig):
    """The everyday world: arithmetic in plain sentences, for any pretrained model."""

    n_train: Positive = 1200  # problems of the pool
    n_dev: Annotated[int, Field(ge=0)] = 100
    n_test: Positive = 200


class PromptsConfig(Section):
    """Where the prompts come from and what is marked in them."""

    source: Literal["task_world", "everyday", "file", "hub"] = "task_world"
    task_world: TaskWorldConfig = TaskWorldConfig()
    everyday: EverydayConfig = EverydayConfig()
    path: str | None = None  # JSON, JSONL (also .gz), parquet, arrow, CSV, a folder of save_to_disk
    format: Literal["auto", "jsonl", "parquet", "arrow", "csv"] = "auto"
    columns: ColumnMap = ColumnMap()
    answer_after: str | None = None  # the answer is what follows the last of these ("####"); "\\boxed": the last box
    dataset: str | None = None  # Hugging Face name
    dataset_config: str | None = None
    dataset_split: str = "train"
    licence: str | None = None  # of every prompt whose row names none; as the Hub writes it: mit, cc-by-4.0
    eval_path: str | None = None  # held-out prompts with the same columns, for evaluation
    max_rows: Positive | None = None  # the first so many rows; None: all
    max_prompt_chars: Positive = 4000  # longer ones are flagged and not used
    keep_flags: tuple[str, ...] = ()  # flags that shall not make a row unusable, such as swallowed_latex
    decontaminate_against: tuple[str, ...] = ()  # files of evaluation prompts
    ngram_tokens: Annotated[int, Field(ge=3, le=50)] = 13  # of a run of words that two texts share: a leak
    coverage_threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5  # share of an evaluation text that is found

    @property
    def world(self) -> TaskWorldConfig | None:
        """Return the section of the built-in world that the prompts come from; None for a file or the Hub."""
        return {"task_world": self.task_world, "everyday": self.everyday}.get(self.source)

    @field_validator("keep_flags")
    @classmethod
    def _known_flags(cls, flags: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is no flag, makes no row unusable, or cannot be waived."""
        for flag in flags:
            if flag not in UNUSABLE - ALWAYS:
                raise ValueError(f"'{flag}' cannot be kept; keep_flags takes any of {sorted(UNUSABLE - ALWAYS)}")
        return flags


class PolicyConfig(Section):
    """The policy: pre-trained here (task world or a text LM on the pool), or an existing model."""

    source: Literal["task_world", "text", "pretrained"] = "task_world"
    model: str | None = None  # source pretrained: a local folder, a GGUF file or a Hub name
    train_dequantised: bool = False  # train a model whose weights come from a quantised GGUF file
    trust_remote_code: bool = False  # run code that comes with the model: docs/security.md
    chat_template: bool = False  # put every prompt into the tokenizer's chat template, as one user message
    system_prompt: str | None = None  # with chat_template: the system message
    prompt_suffix: str = ""  # appended to every prompt, e.g. how to mark the final answer
    hidden_size: Positive = 64
    n_layers: Positive = 3
    n_heads: Positive = 4
    intermediate_size: Positive = 256
    vocab_size: Positive = 2048  # source text: byte-level BPE trained on the pool
    pretrain_steps: Positive = 1650  # source text: fewer where the pool is small or the held-out loss rises
    sloppy_steps: Annotated[int, Field(ge=0)] = 300  # task world: steps on partly wrong solutions
    batch_size: Positive = 64


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
    ks: tuple[Positive, ...] = (1, 8)  # pass@k is told for each
    temperature: Annotated[float, Field(ge=0.0)] = 1.0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    max_completion_tokens: Positive = 24  # for the task world; must be said for a pretrained model
    benchmarks: tuple[BenchmarkConfig, ...] = ()  # evaluated in place of `split`
    # held-out prompts of `split` whose answers before and after training are read with the SAE: which features rose
    watch_prompts: Annotated[int, Field(ge=0)] = 0


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
    control: Literal["auto", "vanilla", "none"] = (
        "auto"  # what is trained beside the strategy; auto: see trains_control
    )
    export: tuple[str, ...] = ()  # trainers that the plan is written for too, such as [verl, trl]: docs/export.md
    prompts: PromptsConfig = PromptsConfig()
    policy: PolicyConfig = PolicyConfig()
    sae: SaeConfig = SaeConfig()
    features: FeaturesConfig = FeaturesConfig()
    signals: SignalsConfig = SignalsConfig()
    quality: QualityConfig = QualityConfig()
    clusters: ClustersConfig = ClustersConfig()
    pass_rates: PassRatesConfig = PassRatesConfig()
    rollouts: RolloutsConfig = RolloutsConfig()
    shards: ShardsConfig = ShardsConfig()
    difficulty: DifficultyConfig = DifficultyConfig()
    plan: PlanConfig = PlanConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    grading: GradingConfig = GradingConfig()
    gate: GateConfig = GateConfig()
    compare: CompareConfig = CompareConfig()

    @property
    def may_measure(self) -> bool:
        """Whether rollouts may be spent on labels: they are asked for, or `auto`, the policy can answer and it matters.

        It matters where a strategy of the run goes by the difficulty, or where nothing is trained and the signals are
        what the run is for.
        """
        label = self.difficulty.label
        if label != "auto" or self.policy.source == "text":
            return label == "pass_rate"
        strategies = [self.plan.strategy, *(arm.strategy for arm in self.compare.arms)]
        return not self.training.enabled or any(rests_on_labels(s) for s in strategies if s is not None)

    @property
    def trains_control(self) -> bool:
        """Whether a plain shuffle is trained and evaluated too; `auto`: on the embedded backend, where it is cheap.

        Never where the strategy is that shuffle, or where nothing is trained or evaluated.
        """
        if self.control == "none" or self.plan.strategy.name == CONTROL_STRATEGY:
            return False
        is_cheap = self.training.backend == "embedded"
        return self.training.enabled and self.evaluation.enabled and (is_cheap or self.control == "vanilla")

    @model_validator(mode="before")
    @classmethod
    def _an_order_without_training(cls, given: object) -> object:
        """Take the paper's plan where no strategy is named and nothing is trained: an online one has no order then."""
        if not isinstance(given, dict):
            return given
        training, plan = given.get("training"), given.get("plan", {})
        is_off = isinstance(training, dict) and training.get("enabled") is False
        if is_off and isinstance(plan, dict) and "strategy" not in plan:
            return {**given, "plan": {**plan, "strategy": UNTRAINED_STRATEGY}}
        return given

    @model_validator(mode="after")
    def _combinations(self) -> "RunConfig":
        """Refuse combinations that cannot work; filled in by `saerl_core.config.checks`."""
        from saerl_core.config.checks import check_combinations

        check_combinations(self)
        return self
