"""All that the page is made of, handed over by whoever ran the stages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from saerl_core.advice.said import Said
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
    WatchReport,
)
from saerl_core.stages import CONTROL_STAGES, STAGES, Stage


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
class ControlFacts:
    """What the control left behind: a plain shuffle of the same seed, policy and sizes, on the same held-out items."""

    items: pd.DataFrame  # tables.ITEM_SCORES of policy "control"
    scores: pd.DataFrame  # tables.SCORES of policy "control"
    log: pd.DataFrame  # tables.TRAINING_LOG
    plan_report: PlanReport
    training_report: TrainingReport
    evaluation_report: EvaluationReport

    @classmethod
    def of(
        cls,
        items: pd.DataFrame | None,
        scores: pd.DataFrame | None,
        log: pd.DataFrame | None,
        plan_report: PlanReport | None,
        training_report: TrainingReport | None,
        evaluation_report: EvaluationReport | None,
    ) -> "ControlFacts | None":
        """Put together what the control's steps gave; None where there was none."""
        if items is None or scores is None or log is None:
            return None
        if plan_report is None or training_report is None or evaluation_report is None:
            return None
        return cls(items, scores, log, plan_report, training_report, evaluation_report)


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
    items: pd.DataFrame | None = None  # tables.ITEM_SCORES
    evaluation_report: EvaluationReport | None = None
    benchmarks_report: BenchmarksReport | None = None
    likelihoods_report: StageReport | None = None
    vectors_report: StageReport | None = None
    control: ControlFacts | None = None
    exports: Mapping[str, str] = field(default_factory=dict)  # format -> folder
    export_report: StageReport | None = None
    feature_names: pd.DataFrame | None = None  # named_features.FEATURE_NAMES
    watch_report: WatchReport | None = None
    said: Said | None = None  # by `validate --cost`, of this configuration

    @property
    def training_report(self) -> TrainingReport | None:
        """Report of the training, where there was one."""
        return self.training.report if self.training else None

    def reports(self) -> Iterator[tuple[Stage, StageReport]]:
        """Yield every stage that ran with its report, in the order of the data; the control's last."""
        for stages, holder in ((STAGES, self), (CONTROL_STAGES, self.control)):
            for stage in stages.values() if holder is not None else ():
                report: StageReport | None = getattr(holder, stage.report)
                if report is not None:
                    yield stage, report

    def notes(self) -> list[tuple[str, str, str]]:
        """Return every note of every stage that ran, as (stage, anchor of its section, sentence)."""
        return [(stage.step, stage.section, note) for stage, report in self.reports() for note in report.notes]
