"""Stacks registered from the files of `deploy/stacks`, and the manifests of the run files on them."""

import importlib.util
import os
from unittest import mock

import pytest

from tests.deploy.rendering import ENVIRONMENT, ROOT, compiled, orchestrator_job, step_jobs, with_every_step

SECRETS = {
    "saerl_mlflow": {"token": "planted-mlflow-token"},
    "saerl_s3": {"key": "planted-s3-key", "secret": "planted-s3-secret"},
}


@pytest.fixture(scope="session")
def register():
    """The module that registers a stack file; `deploy` is no package."""
    spec = importlib.util.spec_from_file_location("register", ROOT / "deploy" / "stacks" / "register.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def cluster_environment():
    with mock.patch.dict(os.environ, ENVIRONMENT):
        yield


@pytest.fixture(scope="session")
def stacks(local_stack, register, cluster_environment):
    """Both stacks that install beside our constraints; their secrets are in ZenML's store."""
    from zenml.client import Client

    for name, values in SECRETS.items():
        Client().create_secret(name, values)
    for name in ("k8s-gpu", "local-gpu-pods"):
        register.register(register.read_stack(ROOT / "deploy" / "stacks" / f"{name}.yaml"))
    yield
    Client().activate_stack(local_stack)


@pytest.fixture(scope="session")
def run_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run-files")
    return {path.name: with_every_step(path, folder) for path in (ROOT / "configs").glob("kubernetes*.yaml")}


@pytest.fixture(scope="session")
def k8s_jobs(stacks, run_files):
    """The Jobs of all steps on Kubernetes, by run file."""
    found = {}
    for name, path in run_files.items():
        snapshot = compiled("k8s-gpu", path)
        found[name] = step_jobs("k8s-gpu", snapshot)
    return found


@pytest.fixture(scope="session")
def start(stacks, run_files):
    """The Job that starts a run on Kubernetes, with the secrets created for it."""
    return orchestrator_job("k8s-gpu", compiled("k8s-gpu", run_files["kubernetes.yaml"]))
