"""All that the page is made of, handed over by whoever ran the stages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from saerl_core.config.run import RunConfig
from saerl_core.plans import BatchPlan
from saerl_core.records import (
    BenchmarksReport,
    ClustersReport,
    DifficultyReport,
    EvaluationReport,
    FeaturesReport,
    PassRatesReport,
    PlanReport,
    PolicyReport,
    PromptsReport,
    QualityReport,
    SaeRef,
    SaeReport,
    StageReport,
    TrainingReport,
    TrainResult,
)
from saerl_core.stages import STAGES, Stage


@dataclass(frozen=True)
class RunFacts:
    """Who ran what and when; the caller knows, the library does not ask the machine."""

    run_name: str
    created_at: str  # as it should be printed, with the time zone
    git_sha: str
    command: str  # the exact command line of the run
    versions: Mapping[str, str] = field(default_factory=dict)  # package -> version
    mlflow_run: str = ""  # name or address of the MLflow run; empty: not tracked


@dataclass(frozen=True)
class SaeFacts:
    """What the page says about the SAE, without its weights."""

    sae_id: str
    hook_name: str
    d_sae: int
    architecture: str
    model: str | None = None  # None: the policy itself

    @classmethod
    def of(cls, ref: SaeRef) -> "SaeFacts":
        """Take the facts from a record."""
        return cls(ref.sae_id, ref.hook_name, ref.d_sae, ref.architecture, ref.model)


@dataclass(frozen=True)
class TrainingFacts:
    """What training left behind, without the checkpoint."""

    log: pd.DataFrame  # tables.TRAINING_LOG
    consumed: pd.DataFrame  # tables.CONSUMED
    report: TrainingReport
    handed_out: pd.DataFrame  # tables.HANDED_OUT

    @classmethod
    def of(cls, result: TrainResult) -> "TrainingFacts":
        """Take the facts from a record."""
        return cls(result.log, result.consumed, result.report, result.handed_out)


@dataclass(frozen=True)
class ReportInputs:
    """The records of one run. What is None was not part of the run, and the page says so."""

    config: RunConfig
    facts: RunFacts
    train: pd.DataFrame  # tables.PROMPTS
    test: pd.DataFrame  # tables.PROMPTS, may be empty
    issues: pd.DataFrame  # tables.ISSUES
    matches: pd.DataFrame  # tables.MATCHES
    prompts_report: PromptsReport
    policy_report: PolicyReport
    sae: SaeFacts
    sae_report: SaeReport
    features_report: FeaturesReport
    quality: pd.DataFrame  # tables.QUALITY
    quality_report: QualityReport
    clusters: pd.DataFrame  # tables.CLUSTERS
    clusters_report: ClustersReport
    difficulty: pd.DataFrame  # tables.DIFFICULTY
    difficulty_report: DifficultyReport
    plan: BatchPlan
    plan_report: PlanReport
    costs: pd.DataFrame  # tables.COSTS
    pass_rates: pd.DataFrame | None = None  # tables.PASS_RATES
    pass_rates_report: PassRatesReport | None = None
    training: TrainingFacts | None = None
    scores: pd.DataFrame | None = None  # tables.SCORES
    evaluation_report: EvaluationReport | None = None
    benchmarks_report: BenchmarksReport | None = None
    vectors_report: StageReport | None = None

    @property
    def training_report(self) -> TrainingReport | None:
        """Report of the training, where there was one."""
        return self.training.report if self.training else None

    def reports(self) -> Iterator[tuple[Stage, StageReport]]:
        """Yield every stage that ran with its report, in the order of the data."""
        for stage in STAGES.values():
            report: StageReport | None = getattr(self, stage.report)
            if report is not None:
                yield stage, report
