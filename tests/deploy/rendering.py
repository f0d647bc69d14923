"""What ZenML would send to a cluster, made by ZenML's own code with the calls of the Kubernetes API replaced.

The private names of ZenML stand in this module only; they are those of zenml 0.98.0.
"""

import configparser
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from uuid import uuid4

import yaml

from saerl_core.stages import PARTS
from tests.contracts.test_steps import OF_A_COMPARISON, closure, rooms_in
from tests.contracts.test_steps import STEPS as MODULES

ROOT = Path(__file__).resolve().parents[2]
STEPS = [path for path in MODULES if path.stem not in {*OF_A_COMPARISON, *PARTS}]  # those of a run without shards
RUN_FILES = ("kubernetes.yaml", "kubernetes_ray.yaml")
TOKEN_NAME = "ZENML_STORE_API_TOKEN"
TOKEN = "planted-token-of-the-zenml-server"
IN_TRAINER_IMAGE = {
    "train_policy",
    "measure_pass_rates",
    "evaluate_policy",
    "watch_features",
}  # it holds OpenRLHF and vLLM
ENVIRONMENT = {
    "SAERL_KUBE_CONTEXT": "some-context",
    "SAERL_ARTIFACTS": "s3://some-bucket/saerl",
    "SAERL_REGISTRY": "registry.example.com/saerl",
    "SAERL_MLFLOW_URI": "https://mlflow.example.com",
    "SAERL_PIPELINE_IMAGE": "registry.example.com/saerl/pipeline@sha256:aaaa",
    "SAERL_TRAINER_IMAGE": "registry.example.com/saerl/trainer@sha256:bbbb",
    "ZENML_SKIP_STACK_VALIDATION": "true",  # no kubeconfig is read
}


def steps_that_run_a_model() -> set[str]:
    """Steps whose rooms may import torch, by the import contract."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    lines = contracts["importlinter:contract:torch"]["ignore_imports"].split("\n")
    rooms = {line.split(".")[1].split(" ")[0] for line in lines if line}
    return {path.stem for path in STEPS if closure(rooms_in(path)) & rooms}


def with_every_step(run_file: Path, folder: Path) -> Path:
    """Write a copy of a run file whose parameters leave no stage out."""
    content = yaml.safe_load(run_file.read_text())
    parameters = content["parameters"]
    parameters["difficulty"]["label"] = "pass_rate"
    parameters["pass_rates"] = {"max_completion_tokens": 1024}
    parameters["evaluation"] |= {"enabled": True, "watch_prompts": 8}
    parameters["plan"]["strategy"] = "adaptive"  # it needs `embed_prompts` and `measure_likelihoods`
    parameters["export"] = ["verl"]
    copy = folder / run_file.name
    copy.write_text(yaml.safe_dump(content))
    return copy


@contextmanager
def active(stack):
    """Make a stack the active one for a while."""
    from zenml.client import Client

    before = Client().active_stack_model.name
    Client().activate_stack(stack)
    try:
        yield
    finally:
        Client().activate_stack(before)


def compiled(stack, run_file, pipeline=None):
    """Compile a pipeline, by default that of a run, for a stack; nothing is built, pushed or started."""
    from pipelines.training import saerl_pipeline

    with active(stack):
        pipeline = (pipeline or saerl_pipeline).with_options(config_path=str(run_file))
        pipeline.prepare()
        return pipeline.create_snapshot(name=f"{stack}-{run_file.stem}", replace=True)


def as_dict(manifest, kind="Job", version="batch/v1"):
    """The JSON that the client would send, with the kind that the endpoint stands for."""
    from kubernetes.client import ApiClient

    return {"apiVersion": version, "kind": kind, **ApiClient().sanitize_for_serialization(manifest)}


def container(job):
    """The one container of a job's pod."""
    (only,) = job["spec"]["template"]["spec"]["containers"]
    return only


def orchestrator_job(stack, snapshot):
    """The Job that starts a run, and the secrets that are created beside it."""
    from zenml.client import Client
    from zenml.integrations.kubernetes import kube_utils
    from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator

    jobs, secrets = [], []
    with (
        active(stack),
        mock.patch.object(KubernetesOrchestrator, "get_kube_client", _client),
        mock.patch.object(kube_utils, "create_job", lambda **given: jobs.append(given["job_manifest"])),
        mock.patch.object(kube_utils, "create_or_update_secret", lambda **given: secrets.append(given)),
    ):
        stack_now = Client().active_stack
        environment = {TOKEN_NAME: TOKEN, "ZENML_STORE_URL": "https://zenml.example.com"}
        stack_now.orchestrator.submit_pipeline(snapshot, stack_now, environment, {}, None)
    (job,) = jobs
    return as_dict(job), secrets


def step_jobs(stack, snapshot):
    """The Job of every step, as the orchestrator's pod makes them: its real entry point, run here."""
    from zenml.integrations.kubernetes import kube_utils
    from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator
    from zenml.integrations.kubernetes.orchestrators import kubernetes_orchestrator_entrypoint as entrypoint
    from zenml.orchestrators import dag_runner

    jobs = {}
    runner, variables = entrypoint.DagRunner, entrypoint.get_config_environment_vars

    def create(job_manifest, **_):
        jobs[job_manifest.metadata.labels["step_name"]] = as_dict(job_manifest)

    def job_of_the_run(**_):
        return mock.Mock(metadata=mock.Mock(annotations={}))

    with (
        active(stack),
        mock.patch.object(sys, "argv", ["entrypoint", "--snapshot_id", str(snapshot.id)]),
        mock.patch.object(KubernetesOrchestrator, "get_kube_client", _client),
        mock.patch.object(kube_utils, "get_parent_job_name", lambda **_: "orchestrator-job"),  # noqa: PT008
        mock.patch.object(kube_utils, "get_job", job_of_the_run),
        mock.patch.object(kube_utils, "update_job", lambda **_: None),  # noqa: PT008
        mock.patch.object(kube_utils, "get_pod_owner_references", lambda **_: []),  # noqa: PT008
        mock.patch.object(kube_utils, "delete_secret", lambda **_: None),  # noqa: PT008
        mock.patch.object(kube_utils, "create_job", create),
        mock.patch.object(kube_utils, "check_job_status", lambda **_: (kube_utils.JobStatus.SUCCEEDED, None)),  # noqa: PT008
        mock.patch.object(entrypoint, "setup_logging_context", lambda **_: nullcontext()),  # noqa: PT008 - no bucket takes its log
        mock.patch.object(dag_runner, "time", SimpleNamespace(time=time.time, sleep=lambda _: time.sleep(0.01))),
        mock.patch.object(entrypoint, "DagRunner", lambda **given: runner(**{**given, "monitoring_interval": 0.01})),
        mock.patch.object(  # noqa: PT008
            entrypoint,
            "get_config_environment_vars",
            lambda: (variables()[0], {TOKEN_NAME: TOKEN}),
        ),
    ):
        entrypoint.main()
    return jobs


def operator_jobs(stack, snapshot):
    """The Job of every step that runs on the stack's step operator, and the secrets that are created beside them."""
    from zenml.client import Client
    from zenml.config.step_run_info import StepRunInfo
    from zenml.integrations.kubernetes import kube_utils
    from zenml.integrations.kubernetes.step_operators import KubernetesStepOperator

    jobs, secrets = {}, {}
    with (
        active(stack),
        mock.patch.object(KubernetesStepOperator, "get_kube_client", _client),
        mock.patch.object(kube_utils, "create_job", lambda **given: jobs.update({name: given["job_manifest"]})),
        mock.patch.object(kube_utils, "create_or_update_secret", lambda **given: secrets.update({name: given})),
    ):
        operator = Client().active_stack.step_operator
        for name, step in snapshot.step_configurations.items():
            if not step.config.uses_step_operator(operator.name):
                continue
            info = StepRunInfo.model_construct(
                step_run_id=uuid4(),
                run_id=uuid4(),
                run_name="a-run",
                pipeline_step_name=name,
                config=step.config,
                spec=step.spec,
                pipeline=snapshot.pipeline_configuration,
                snapshot=snapshot,
            )
            operator.submit_with_allocation(info, ["python", "-m", "module", "--step"], {TOKEN_NAME: TOKEN}, None)
    return {name: as_dict(job) for name, job in jobs.items()}, secrets


def _client(*_, **__):
    from kubernetes.client import ApiClient, Configuration

    return ApiClient(Configuration())
