"""The table of stages: everything that more than one place must know of each, in the order of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

Purpose = Literal["setup", "selection", "training", "evaluation", "control"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


@dataclass(frozen=True)
class Stage:
    """One row. A stage of the ledger that is in no row counts as selection (`purpose_of`)."""

    step: str  # of the pipeline; the stage's name in the cost ledger
    report: str  # the field of `report.inputs.ReportInputs` that holds its report
    prefix: str  # of its metrics in MLflow
    purpose: Purpose  # what its cost is spent on
    section: str  # of the page
    rooms: tuple[str, ...]  # folders and files below saerl_core whose change runs the step again
    # plan_batches, train_policy: these are the entrances; what they lead to depends on strategy and backend, and its
    # hash is an argument of the step (`plan.code`, `training.fingerprint.training_code`)


_ROWS = (
    Stage(
        "load_prompts",
        "prompts_report",
        "prompts",
        "setup",
        "data",
        ("prompts", "rollouts", "latex.py", "invisible.py", "flags.py", "world"),
    ),
    Stage(
        "load_benchmarks",
        "benchmarks_report",
        "benchmarks",
        "evaluation",
        "evaluation",
        ("prompts", "rollouts", "latex.py", "invisible.py", "flags.py", "world"),
    ),
    Stage("prepare_policy", "policy_report", "policy", "setup", "policy", ("policy", "world")),
    Stage("obtain_sae", "sae_report", "sae", "selection", "sae", ("features", "policy", "world")),
    Stage("extract_sae_features", "features_report", "features", "selection", "sae", ("features", "policy", "world")),
    Stage(
        "train_quality_probe",
        "quality_report",
        "probe/quality",
        "selection",
        "probes",
        ("signals", "features", "policy", "world"),
    ),
    Stage("cluster_prompts", "clusters_report", "clusters", "selection", "clusters", ("signals",)),
    Stage(
        "measure_pass_rates",
        "pass_rates_report",
        "pass_rates",
        "selection",
        "difficulty",
        ("rollouts", "latex.py", "invisible.py", "policy", "signals", "world"),
    ),
    Stage(
        "measure_likelihoods",
        "likelihoods_report",
        "likelihoods",
        "selection",
        "difficulty",
        ("features", "policy", "world", "signals/labels.py"),
    ),
    Stage("calibrate_difficulty", "difficulty_report", "probe/difficulty", "selection", "difficulty", ("signals",)),
    Stage("embed_prompts", "vectors_report", "vectors", "selection", "plan", ("signals",)),
    Stage("plan_batches", "plan_report", "plan", "selection", "plan", ("plan/build.py", "policy", "world")),
    Stage(
        "train_policy",
        "training_report",
        "train",
        "training",
        "training",
        ("training/run.py", "plan/curriculum.py", "rollouts", "latex.py", "invisible.py", "policy", "world"),
    ),
    Stage(
        "export_plan", "export_report", "export", "setup", "plan", ("export", "plan/realised.py", "plan/decisions.py")
    ),
    Stage(
        "evaluate_policy",
        "evaluation_report",
        "eval",
        "evaluation",
        "evaluation",
        ("evaluation", "rollouts", "latex.py", "invisible.py", "policy", "world"),
    ),
    Stage(
        "watch_features",
        "watch_report",
        "watch",
        "evaluation",
        "evaluation",
        ("evaluation", "features", "rollouts", "policy", "world"),
    ),
)
STAGES: Mapping[str, Stage] = {row.step: row for row in _ROWS}

# what a stage is made of where the pool is read in shards (`config.shards`): one step a shard, and one that merges them
PARTS: Mapping[str, str] = {
    "extract_shard": "extract_sae_features",
    "merge_features": "extract_sae_features",
    "label_shard": "measure_pass_rates",
    "merge_pass_rates": "measure_pass_rates",
    "likelihood_shard": "measure_likelihoods",
    "merge_likelihoods": "measure_likelihoods",
}
MERGED: Mapping[str, str] = {of: part for part, of in PARTS.items() if part.startswith("merge_")}

CONTROL = "control"  # the trial that a run trains beside its strategy; what it logs stands under this name
_OF_CONTROL = {"plan_control": "plan_batches", "train_control": "train_policy", "evaluate_control": "evaluate_policy"}
CONTROL_STAGES: Mapping[str, Stage] = {  # the same steps once more; `report` is a field of `report.inputs.ControlFacts`
    name: replace(STAGES[step], step=name, prefix=f"{CONTROL}/{STAGES[step].prefix}", purpose="control")
    for name, step in _OF_CONTROL.items()
}


def name_of(step: str, trial: str = "") -> str:
    """Return what a stage is called: in a trial of a run, such as its control, it has another name than its step."""
    if trial == CONTROL:
        return next(name for name, of in _OF_CONTROL.items() if of == step)
    return f"{step} of {trial}" if trial else step


def purpose_of(step: str) -> Purpose:
    """Return what a stage's cost is spent on."""
    stage = STAGES.get(step) or CONTROL_STAGES.get(step)
    return stage.purpose if stage else "selection"
