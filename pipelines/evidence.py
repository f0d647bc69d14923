"""What the gate reads of a pipeline run, and the champion's scores on exactly the same items."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import yaml
from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models import ArtifactVersionResponse, PipelineRunResponse

from pipelines.base import SaerlPipeline, as_command, as_saerl_pipeline
from pipelines.setup import EXPERIMENT
from saerl_core.config.run import RunConfig
from saerl_core.errors import BackendError
from saerl_core.promotion.records import Candidate, RegisteredPolicy
from steps.evaluate_policy import evaluate_policy

_STEP = "evaluate_policy"
_POLL_S = 15.0


def finished(run: PipelineRunResponse | None) -> PipelineRunResponse:
    """Wait for a run that an orchestrator carries out on its own; return it when it has completed.

    Raises:
        BackendError: The run ended in another way.
    """
    if run is None:
        raise BackendError(
            "the stack gave no pipeline run to wait for; is ZenML's `ZENML_PREVENT_PIPELINE_EXECUTION` set?"
        )
    run = Client().get_pipeline_run(run.id)
    while not run.status.is_finished:
        time.sleep(_POLL_S)
        run = Client().get_pipeline_run(run.id)
    if run.status not in (ExecutionStatus.COMPLETED, ExecutionStatus.CACHED):
        raise BackendError(f"pipeline run {run.name} ended as '{run.status.value}'; its logs in ZenML say why")
    return run


def output(run: PipelineRunResponse, step: str, name: str) -> ArtifactVersionResponse:
    """Return the one artifact of a step's output."""
    return run.steps[step].outputs[name][0]


def mlflow_run_id(run: PipelineRunResponse) -> str:
    """Return the id of the MLflow run that the pipeline run logged into."""
    return str(run.steps["write_report"].run_metadata["mlflow_run_id"])


def candidate_of(run: PipelineRunResponse) -> Candidate:
    """Load what the gate reads of the run's trained policy."""
    items = output(run, _STEP, "item_scores").load()
    base = items[items["policy"] == "before"]
    return Candidate(
        items=items[items["policy"] == "after"],
        costs=output(run, "write_report", "costs").load(),
        trained_ids=frozenset(output(run, "train_policy", "consumed").load()["prompt_id"]),
        base=None if base.empty else base,
        matches=output(run, "load_prompts", "contamination_matches").load(),
    )


def champion_items(run: PipelineRunResponse, champion: RegisteredPolicy, path: str | None) -> pd.DataFrame:
    """Score the champion by the candidate's own evaluation step, with the champion in place of the base policy.

    The scores of the champion's own run would cost nothing, and would be wrong as soon as the held-out prompts, the
    sampling or the grader have changed since. Where nothing changed, ZenML serves them from its cache.

    Args:
        run: The candidate's pipeline run.
        champion: The version to score.
        path: The run file, for what it says about where the step runs (pods, step operator).

    Raises:
        BackendError: The champion's policy is not in this ZenML.
    """
    step = run.steps[_STEP]
    inputs: dict[str, Any] = {name: versions[0] for name, versions in step.inputs.items() if name != "trained_policy"}
    try:
        inputs["policy"] = Client().get_artifact_version(UUID(champion.artifact))
    except (KeyError, ValueError) as error:
        raise BackendError(
            f"the policy of the champion, version {champion.version}, is not in this ZenML (artifact "
            f"'{champion.artifact}'); use the server that it was trained with, or `python -m pipelines rollback --to` "
            "a version whose policy is there"
        ) from error
    pipeline = _pipeline(inputs | step.config.parameters)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "champion.yaml"
        file.write_text(yaml.safe_dump(_run_file(path, champion.version)))
        scored = finished(as_command(pipeline).with_options(config_path=str(file))())
    return scored.steps[_STEP].outputs["item_scores"][0].load()


def _pipeline(arguments: Mapping[str, Any]) -> SaerlPipeline:
    def score_champion(config: RunConfig) -> None:
        evaluate_policy(**arguments)

    return as_saerl_pipeline(name="saerl_champion")(score_champion)


def _run_file(path: str | None, version: int) -> dict[str, Any]:
    """Return the candidate's run file, reduced to the one step, under another name in the same MLflow experiment."""
    raw: dict[str, Any] = (yaml.safe_load(Path(path).read_text()) or {}) if path else {}
    raw["steps"] = {name: value for name, value in raw.get("steps", {}).items() if name == _STEP}
    raw["settings"] = {**raw.get("settings", {}), "experiment_tracker.mlflow": {"experiment_name": EXPERIMENT}}
    raw["run_name"] = f"champion-v{version}-{{date}}-{{time}}"
    return raw
