"""The stack with Kubeflow: what its pods get, and where GPU steps run.

kfp does not install beside constraints.txt: these tests run in an environment of their own (docs/kubernetes.md).
"""

import json
from pathlib import Path
from unittest import mock

import pytest
import yaml

from tests.deploy.rendering import (
    ENVIRONMENT,
    IN_TRAINER_IMAGE,
    ROOT,
    STEPS,
    active,
    compiled,
    operator_jobs,
    steps_that_run_a_model,
)
from tests.deploy.test_pods import assert_gpu_pod, assert_no_secret, assert_valid
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytest.importorskip("kfp", reason="kfp is not installed: docs/kubernetes.md says how to make its environment")
pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]


@pytest.fixture(scope="module")
def snapshot(stacks, register, run_files):
    register.register(register.read_stack(ROOT / "deploy" / "stacks" / "kubeflow.yaml"))
    return compiled("kubeflow", run_files["kubernetes.yaml"])


@pytest.fixture(scope="module")
def executors(snapshot):
    """What Kubeflow would be sent, by step."""
    from zenml.client import Client
    from zenml.integrations.kubeflow.orchestrators import KubeflowOrchestrator

    sent = []
    names = list(snapshot.step_configurations)
    with (
        active("kubeflow"),
        mock.patch.object(KubeflowOrchestrator, "_upload_and_run_pipeline", lambda *_, **given: sent.append(given)),
    ):
        stack = Client().active_stack
        stack.orchestrator.submit_pipeline(snapshot, stack, {}, {name: {} for name in names}, None)
    content = yaml.safe_load(Path(sent[0]["pipeline_file_path"]).read_text())
    found = content["deploymentSpec"]["executors"]
    return {name: found[f"exec-{name.replace('_', '-')}"]["container"] for name in names}


def test_kubeflows_own_pods_ask_for_nothing(executors):
    assert set(executors) == {path.stem for path in STEPS}
    for step, container in executors.items():
        image = "SAERL_TRAINER_IMAGE" if step in IN_TRAINER_IMAGE else "SAERL_PIPELINE_IMAGE"
        assert container["image"] == ENVIRONMENT[image]
        assert "gpu" not in json.dumps(container).lower()


def test_gpu_steps_are_jobs_of_the_step_operator(snapshot):
    jobs, secrets = operator_jobs("kubeflow", snapshot)
    assert_no_secret(jobs, secrets)
    assert set(jobs) == steps_that_run_a_model()
    for step, job in jobs.items():
        assert_gpu_pod(job, 8 if step == "train_policy" else 1)
        assert_valid(job)
