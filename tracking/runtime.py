"""What every step shares: cache policies, the clock, and what a run logs (always through the buffer on disk)."""

import hashlib
import json
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import mlflow
import pandas as pd
from mlflow.data.code_dataset_source import CodeDatasetSource
from zenml import get_step_context, log_metadata
from zenml.config.cache_policy import CachePolicy

from saerl_core.config.load import flatten
from saerl_core.config.run import RunConfig
from saerl_core.environment import state_dir
from saerl_core.hub import allow_hub
from saerl_core.records import StageReport
from saerl_core.shards import ShardResult
from saerl_core.stages import STAGES, name_of
from tracking import delivery as tracking
from tracking.journal import Record
from tracking.processes import PROCESS_TAG, this_process
from tracking.progress import say_progress

R = TypeVar("R", bound=StageReport)

_ROOT = Path(__file__).resolve().parent.parent
# MLflow shows one chart a key and one column a parameter: few of both, or the answer is buried.
_CURVES = frozenset(
    {
        "reward_mean",
        "zero_std_frac",
        "screened_frac",
        "entropy",
        "kl",
        "completion_tokens_mean",
        "truncated_frac",
        "loss",
        "grad_norm",
        "lr",
        "step_s",
        "eval_pass_at_1",
        "forecast_brier",
        "plan_step",
    }
)
_PARAMS = (
    "seed",
    "control",
    "prompts.source",
    "policy.source",
    "signals.space",
    "difficulty.label",
    "plan.strategy",
    "plan.prompts_per_step",
    "plan.n_steps",
    "training.enabled",
    "training.backend",
    "training.algorithm",
    "training.seed",
    "training.group_size",
    "training.lr",
    "training.kl_coef",
    "evaluation.split",
    "evaluation.n_samples",
    "grading.kind",
)
_MAX_CHANGED = 40  # parameters; all are in the tag `saerl.changed`, and in config.json
_MAX_TAG = 4900  # MLflow's databases hold 5000 characters of a tag
_SOURCE = (".py", ".txt")  # .txt: scripts that are copied into an export
_SHARED = ("records.py", "tables.py", "seeds.py", "ids.py", "shards.py")
logger = logging.getLogger("saerl")

# ZenML's tracker tries to switch off the autologging of libraries that are not installed, and says so at every step.
logging.getLogger("zenml.integrations.mlflow.experiment_trackers.mlflow_experiment_tracker").setLevel(logging.ERROR)


def cache_policy(*rooms: str) -> CachePolicy:
    """Make a step's cache depend on the source files of the rooms it calls: editing the library re-runs the step.

    A room is a folder of `saerl_core`, or one file.
    """
    core = _ROOT / "saerl_core"
    files = [core / name for name in _SHARED]
    for room in rooms:
        below = [core / room] if room.endswith(".py") else sorted((core / room).rglob("*"))
        files += [file for file in below if file.suffix in _SOURCE]
    return CachePolicy(file_dependencies=[str(file.relative_to(_ROOT)) for file in files])


def stage_cache(step: str) -> CachePolicy:
    """Return the cache policy of a stage: the rooms that the table of stages names for it."""
    return cache_policy(*STAGES[step].rooms)


class Clock:
    """Measures one stage and stamps the seconds on its report."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._start = time.perf_counter()

    def stamp(self, report: R) -> R:
        """Return the report with the seconds since the stage began."""
        return report.model_copy(update={"seconds": self._seconds()})

    def timed(self, result: ShardResult) -> ShardResult:
        """Return what came of a shard with the seconds since the stage began."""
        return replace(result, seconds=self._seconds())

    def _seconds(self) -> float:
        return round(time.perf_counter() - self._start, 3)


@contextmanager
def stage(name: str, *, torch_threads: int | None = None, trial: str = "") -> Iterator[Clock]:
    """Run one stage: lift the offline default where it must be, set the torch threads, log the run's facts, measure.

    What a stage of a trial logs stands under the trial's name.
    """
    allow_hub(run_config())
    if torch_threads is not None:
        import torch

        torch.set_num_threads(torch_threads)
    say_progress()
    last = name == "write_report"
    with tracking.buffer(wait_s=tracking.RUN_WAIT_S if last else tracking.STEP_WAIT_S, last=last):
        log_run_facts()
        with tracking.trial(trial):
            yield Clock(name)


def track(stage_name: str, report: StageReport, *, trial: str = "") -> None:
    """Log a report's values to the step's metadata in ZenML; MLflow gets them in one file, at the end of the run.

    A note is said with the name that the stage has on the page, which is another one in a `trial`.
    """
    for note in report.notes:
        logger.info("note (%s): %s", name_of(stage_name, trial), note)
    log_metadata({"seconds": report.seconds, **report.metrics(STAGES[stage_name].prefix)})


def run_config() -> RunConfig:
    """Return the configuration of the running pipeline, defaults included."""
    parameters = get_step_context().pipeline_run.config.parameters or {}
    return RunConfig.model_validate(parameters["config"])


def run_name() -> str:
    """Return the name of the running pipeline run; the MLflow run has the same."""
    return str(get_step_context().pipeline_run.name)


def log_run_facts() -> None:
    """Log parameters and tags that a person filters by; the same values may be logged again by a later step."""
    config = run_config()
    values, defaults = flatten(config), flatten(RunConfig())
    changed = {key: value for key, value in values.items() if defaults.get(key) != value}
    shown = {f"changed.{key}": changed[key] for key in list(changed)[:_MAX_CHANGED]}
    shown |= {key: values[key] for key in _PARAMS}
    # MLflow refuses a parameter that changes; a long value is cut at MLflow's limit
    params = [Record("param", key, str(value)[:500]) for key, value in shown.items()]
    tags = {"saerl.changed": ", ".join(f"{k}={v}" for k, v in changed.items())[:_MAX_TAG] or "nothing"}
    tags |= {"saerl.strategy": config.plan.strategy.name, "saerl.seed": str(config.seed), "git_sha": git_sha()}
    tags[PROCESS_TAG] = this_process()
    tracking.record(params + [Record("tag", key, value) for key, value in tags.items()])


def git_sha() -> str:
    """Return the commit of the code, with `-dirty` where the work tree differs; `unknown` where nobody says it.

    Outside a repository it is what an image's build or a CI run names.
    """
    with suppress(FileNotFoundError):  # an image has no git
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="],  # noqa: S607 (git is found on PATH)
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if found.stdout.strip():
            return found.stdout.strip()
    return os.environ.get("SAERL_GIT_SHA") or os.environ.get("GITHUB_SHA", "unknown")


def work_dir(stage_name: str, *key: object) -> Path:
    """Return a folder for a stage's files that depends on the key only: a killed stage finds its work again."""
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    folder = state_dir() / "work" / f"{stage_name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_training_step(step: int, metrics: dict[str, float]) -> None:
    """Log one training step; returns as soon as it is on disk, whatever the server does."""
    prefix = STAGES["train_policy"].prefix
    shown = {k: v for k, v in metrics.items() if k in _CURVES}
    finite = {f"{prefix}/{k}": float(v) for k, v in shown.items() if isinstance(v, int | float) and v == v}  # noqa: PLR0124 (NaN is not equal to itself)
    tracking.record([Record("metric", key, value, step, curve=True) for key, value in finite.items()])


@contextmanager
def kept_files(find: Callable[[], list[Path]]) -> Iterator[None]:
    """Log the files that `find` gives when the block ends, also where it fails: they say why."""
    try:
        yield
    finally:
        for file in find():
            tracking.keep_file(file)


def log_training_curve(log: pd.DataFrame, trial: str = "") -> None:
    """Log the steps of a training that this MLflow run has not seen live: cached, or done before a resume."""
    with tracking.trial(trial):
        for row in log.to_dict("records"):
            log_training_step(int(row.pop("step")), row)


def log_dataset(prompts: pd.DataFrame, name: str, source: str, context: str) -> None:
    """Log a table of prompts as an MLflow data set: name, digest, schema and number of rows."""
    table = prompts[["prompt_id", "prompt", "answer", "source"]]
    where = CodeDatasetSource(tags={"saerl.prompts": source})  # a bare string makes MLflow guess, and warn
    dataset = mlflow.data.from_pandas(table, source=where, name=name, targets="answer")
    tracking.record([Record("dataset", name, json.dumps({**dataset.to_dict(), "context": context}))])


def log_summary(metrics: dict[str, float], curve: dict[int, float], tags: dict[str, str], files: list[Path]) -> None:
    """Log the answer, its curve over rollouts, tags and files of a run; called by the last step, never cached."""
    records = [Record("metric", f"answer/{key}", float(value)) for key, value in metrics.items()]
    records += [Record("metric", "curve/accuracy", value, n, curve=True) for n, value in curve.items()]
    tracking.record(records + [Record("tag", key, value) for key, value in tags.items()])
    for file in files:
        tracking.keep_file(file)


def mlflow_run_name() -> str:
    """Return the name of the active MLflow run, empty without one."""
    run = mlflow.active_run()
    return str(run.info.run_name) if run else ""


def command_line() -> str:
    """Return the command that started this process, as a person would type it."""
    name = Path(sys.argv[0]).name
    return shlex.join([*(("python", "-m", "pipelines") if name == "__main__.py" else (name,)), *sys.argv[1:]])


def say(text: str) -> None:
    """Print the closing lines of a run; this is what a person came for, so it is not a log record."""
    for line in text.splitlines():
        logger.info(line)


def ensure_experiment(name: str, tracking_uri: str, artifacts: Path) -> None:
    """Create an MLflow experiment whose artifacts live in a given folder; does nothing where it exists."""
    client = mlflow.MlflowClient(tracking_uri=tracking_uri)
    if client.get_experiment_by_name(name) is None:
        artifacts.mkdir(parents=True, exist_ok=True)
        client.create_experiment(name, artifact_location=artifacts.as_uri())
