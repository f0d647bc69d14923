"""The literal command with real OpenRLHF behind it, on a CPU: what it leaves in MLflow, in ZenML and on disk.

The embedded backend trains the same plan afterwards, with the signals from ZenML's cache: what both call by one name
overlays in one chart.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import mlflow
import pytest
import yaml

from saerl_core.tables import TRAINING_LOG
from saerl_core.training.consumed import batches_of
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CONFIG = ROOT / "configs" / "openrlhf_cpu.yaml"
STEPS = list(range(SMALL["plan"]["n_steps"]))
NO_CURVES = {  # of MLflow; kl: there is no reference policy here
    "step",
    "consumed_hash",
    "kl",
    "eval_pass_at_1",
    "n_rollouts_total",
    "n_tokens_total",
}
EVAL_EVERY = 2
VARIABLE, SECRET = "SAERL_PLANTED_TOKEN", "planted-value-of-a-token"

pytestmark = [pytest.mark.openrlhf, pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]


class Finished:
    """Both backends have trained the same plan, in the home of these tests' process."""

    def __init__(self, home: Path, python: Path, folder: Path, client: mlflow.MlflowClient) -> None:
        from zenml.client import Client

        from pipelines.training import saerl_pipeline

        path = os.pathsep.join([str(BIN), os.environ["PATH"]])
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        self.environment = {**clean, "PATH": path, VARIABLE: SECRET}
        self.home, self.said, self.mlflow = home, "", client
        self.run_file = folder / "openrlhf.yaml"
        self.run_file.write_text(yaml.safe_dump(small_run(python)))
        self.call("zenml", "pipeline", "run", "saerl", "-c", str(self.run_file))
        in_zenml = Client().list_pipeline_runs(sort_by="desc:created", size=1).items[0]
        self.outputs = {name: step.outputs for name, step in in_zenml.steps.items()}
        embedded = saerl_pipeline(**small_run(None)["parameters"])
        experiment = client.get_experiment_by_name("saerl")
        runs = client.search_runs([experiment.experiment_id], max_results=50)
        by_name = {run.info.run_name: run for run in runs}
        self.runs = {"openrlhf": by_name[in_zenml.name], "embedded": by_name[embedded.name]}

    def output(self, step, name):
        """What a step of the run with OpenRLHF put into ZenML's store."""
        return self.outputs[step][name][0]

    def call(self, *command):
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )
        self.said += done.stdout + done.stderr
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done

    def curves(self, backend):
        """Steps of every metric that a training logs step by step."""
        run, found = self.runs[backend], defaultdict(list)
        for name in run.data.metrics:
            history = self.mlflow.get_metric_history(run.info.run_id, name)
            if name.startswith("train/") and len(history) > 1:
                found[name.removeprefix("train/")] = sorted(m.step for m in history)
        return found

    def artifacts(self, backend):
        return {f.path for f in self.mlflow.list_artifacts(self.runs[backend].info.run_id)}


def small_run(python):
    """The committed configuration with less of everything, for the trainer's environment or the embedded backend."""
    run = yaml.safe_load(CONFIG.read_text())
    parameters = run["parameters"]
    for section, values in SMALL.items():
        parameters[section] = {**parameters.get(section, {}), **values} if isinstance(values, dict) else values
    training = parameters["training"] | {"eval_every_steps": EVAL_EVERY}
    n_rollouts = parameters["plan"]["prompts_per_step"] * training["group_size"]
    micro = {"train_micro_batch": n_rollouts, "rollout_micro_batch": n_rollouts}
    if python is None:
        training = {k: v for k, v in training.items() if k != "openrlhf"} | {"backend": "embedded"}
    else:
        training["openrlhf"] |= {**micro, "python": str(python), "env_from": [VARIABLE]}
    return {**run, "parameters": parameters | {"training": training}}


@pytest.fixture(scope="module")
def finished(openrlhf_python, local_stack, saerl_home, mlflow_client, tmp_path_factory):
    return Finished(saerl_home, openrlhf_python, tmp_path_factory.mktemp("openrlhf"), mlflow_client)


def test_it_says_that_the_planned_order_was_trained(finished):
    assert "Traceback" not in finished.said
    assert "Planned order was trained: 4 of 4 batches identical." in finished.said
    plan, consumed = finished.output("plan_batches", "plan").load(), finished.output("train_policy", "consumed").load()
    planned = [plan.batch(i) for i in range(plan.n_steps)]
    assert list(batches_of(consumed).values()) == planned
    assert len({i for batch in planned for i in batch}) > SMALL["plan"]["prompts_per_step"]


def test_metrics_are_in_mlflow_step_by_step_under_the_names_of_the_embedded_backend(finished):
    curves, embedded = finished.curves("openrlhf"), finished.curves("embedded")
    assert {name: curves.get(name) for name in embedded} == embedded
    columns = {c for c in TRAINING_LOG.columns if c not in NO_CURVES}
    assert columns <= embedded.keys()
    assert {name: curves[name] for name in columns} == dict.fromkeys(columns, STEPS)
    assert curves["eval_pass_at_1"] == STEPS[EVAL_EVERY - 1 :: EVAL_EVERY]
    history = finished.mlflow.get_metric_history(finished.runs["openrlhf"].info.run_id, "train/plan_step")
    assert {m.step: m.value for m in history} == {step: float(step) for step in STEPS}
    assert finished.runs["openrlhf"].data.metrics["train/step_s"] > 0


def test_the_trainers_log_and_the_report_are_kept(finished):
    assert {"trainer-01.log", "report.html", "plan.parquet", "config.json"} <= finished.artifacts("openrlhf")
    run = finished.runs["openrlhf"].info.run_id
    log = Path(finished.mlflow.download_artifacts(run, "trainer-01.log")).read_text()
    assert "openrlhf" in log.lower()
    page = Path(finished.mlflow.download_artifacts(run, "report.html")).read_text()
    assert "trained with GRPO" in page
    assert "openrlhf backend" in page


def test_the_trained_policy_is_stored_by_the_materializer_and_evaluated(finished):
    stored, before = finished.output("train_policy", "trained_policy"), finished.output("prepare_policy", "policy")
    assert "PolicyMaterializer" in str(stored.materializer)
    trained = stored.load()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in Path(trained.path).iterdir()}
    assert trained.policy_id != before.load().policy_id, "training changed the weights"
    assert set(finished.output("evaluate_policy", "scores").load()["policy"]) == {"before", "after"}
    run = finished.runs["openrlhf"]
    assert {"answer/accuracy_before", "answer/accuracy_after"} <= run.data.metrics.keys()
    found = json.loads(Path(finished.mlflow.download_artifacts(run.info.run_id, "diagnostics.json")).read_text())
    assert "eval/pass_at_4_after" in found["evaluate_policy"]
    assert found["costs"]["cost/train_policy_rollouts"] == 4 * 8 * 4
    assert found["train_policy"]["train/n_eval_rollouts"] == 2 * 40 * 4  # the dev split, twice


def test_a_secret_of_the_environment_is_written_nowhere(finished):
    for command in ("show-command", "show-config", "validate"):
        finished.call(sys.executable, "-m", "pipelines", command, "-c", str(finished.run_file))
    assert VARIABLE in finished.said
    assert SECRET not in finished.said
    files = {file: file.read_bytes() for file in finished.home.rglob("*") if file.is_file()}
    named = {file.name for file, content in files.items() if VARIABLE.encode() in content}
    assert {"config.json", "mlflow.db", "report.html"} <= named, "its name is where the configuration is"
    assert [file for file, content in files.items() if SECRET.encode() in content] == []
