"""Stack files: what they need, what they refuse, and where a stack lets GPU steps run."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from zenml.enums import StackComponentType

from saerl_core.config.load import load_config
from saerl_core.errors import ConfigError
from tests.deploy.conftest import SECRETS
from tests.deploy.rendering import ENVIRONMENT, ROOT, RUN_FILES, STEPS, steps_that_run_a_model
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS

STACK_FILES = sorted((ROOT / "deploy" / "stacks").glob("*.yaml"))
RUN_FILE = str(ROOT / "configs" / "kubernetes.yaml")


def a_stack(orchestrator, operator=None):
    found = None if operator is None else SimpleNamespace(name=operator)
    return SimpleNamespace(name="s", orchestrator=SimpleNamespace(flavor=orchestrator), step_operator=found)


@pytest.mark.parametrize("path", STACK_FILES, ids=lambda p: p.stem)
def test_a_stack_file_is_whole(register, cluster_environment, path):
    stack = register.read_stack(path)
    assert {"orchestrator", "artifact_store", "container_registry", "image_builder", "experiment_tracker"} <= set(
        stack.components
    )
    assert set(stack.secrets) == set(SECRETS)
    assert "${" not in stack.model_dump_json()


@pytest.mark.parametrize("path", STACK_FILES, ids=lambda p: p.stem)
def test_zenml_knows_every_setting_of_a_component(stacks, register, path):
    """Also of Kubeflow, whose orchestrator itself cannot be loaded here."""
    from zenml.stack.utils import validate_stack_component_config

    for name, component in register.read_stack(path).components.items():
        validate_stack_component_config(component.configuration, component.flavor, StackComponentType(name))


@pytest.mark.parametrize("path", STACK_FILES, ids=lambda p: p.stem)
def test_a_missing_variable_is_named(register, cluster_environment, monkeypatch, path):
    monkeypatch.delenv("SAERL_ARTIFACTS")
    with pytest.raises(ConfigError, match="SAERL_ARTIFACTS"):
        register.read_stack(path)


def test_a_secret_in_plain_text_is_refused_and_not_repeated(register, cluster_environment, tmp_path):
    content = yaml.safe_load((ROOT / "deploy" / "stacks" / "k8s-gpu.yaml").read_text())
    content["components"]["experiment_tracker"]["configuration"]["tracking_token"] = "planted-plain-text"
    path = tmp_path / "stack.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="tracking_token") as refusal:
        register.read_stack(path)
    assert "planted-plain-text" not in str(refusal.value)


def test_a_value_of_the_environment_cannot_change_the_file(register, cluster_environment, monkeypatch):
    monkeypatch.setenv("SAERL_REGISTRY", "x\n  evil: {name: y}")
    stack = register.read_stack(ROOT / "deploy" / "stacks" / "k8s-gpu.yaml")
    assert stack.components["container_registry"].configuration["uri"] == "x\n  evil: {name: y}"


def test_registering_again_updates(stacks, register, monkeypatch):
    from zenml.client import Client

    monkeypatch.setenv("SAERL_MLFLOW_URI", "https://other.example.com")
    register.register(register.read_stack(ROOT / "deploy" / "stacks" / "k8s-gpu.yaml"))
    tracker = Client().get_stack("k8s-gpu").components["experiment_tracker"][0]
    assert tracker.configuration["tracking_uri"] == "https://other.example.com"
    assert tracker.configuration["tracking_token"] == "{{saerl_mlflow.token}}"


@pytest.mark.slow
def test_the_script_says_what_is_missing_before_it_registers_anything(tmp_path):
    path = ROOT / "deploy" / "stacks" / "k8s-gpu.yaml"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ZENML_", "MLFLOW_", "SAERL_"))}
    for environment, words in (({}, "SAERL_REGISTRY"), (ENVIRONMENT, "zenml secret create saerl_mlflow -i")):
        done = subprocess.run(
            [sys.executable, "deploy/stacks/register.py", str(path)],
            env={**clean, **environment, "SAERL_HOME": str(tmp_path)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_kubeflow_orchestrator_alone_is_refused_with_the_reason():
    from pipelines.placement import step_operators

    with pytest.raises(ConfigError, match="Kubeflow") as refusal:
        step_operators(a_stack("kubeflow"), RUN_FILE)
    assert "train_policy" in str(refusal.value)
    assert "step operator" in str(refusal.value)
    without_gpus = str(ROOT / "configs" / "embedded_vanilla.yaml")
    assert step_operators(a_stack("kubeflow"), without_gpus) == {}


def test_gpu_steps_go_to_the_step_operator_where_the_orchestrator_has_no_pods_for_them():
    from pipelines.placement import step_operators

    for orchestrator in ("kubeflow", "local"):
        assert set(step_operators(a_stack(orchestrator, "pods"), RUN_FILE)) >= steps_that_run_a_model()
    assert step_operators(a_stack("kubernetes", "pods"), RUN_FILE) == {}
    assert step_operators(a_stack("local"), RUN_FILE) == {}


@pytest.mark.parametrize(
    ("settings", "asks"),
    [
        ({"resources": {"gpu_count": 2}}, True),
        ({"resources": {"gpu_count": 0}}, False),
        ({"orchestrator": {"pod_settings": {"resources": {"limits": {"amd.com/gpu": 1}}}}}, True),
        ({"orchestrator": {"pod_settings": {"resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}}}}, True),
        ({"orchestrator": {"pod_settings": {"node_selectors": {"nvidia.com/gpu.present": "true"}}}}, False),
        ({"orchestrator": {"pod_settings": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}}}, False),
    ],
)
def test_what_asks_for_a_gpu(tmp_path, settings, asks):
    from pipelines.placement import gpu_steps

    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"steps": {"train_policy": {"settings": settings}}}))
    assert gpu_steps(str(path)) == (["train_policy"] if asks else [])


def test_a_run_file_without_its_images_is_refused(local_stack, monkeypatch):
    from pipelines.training import saerl_pipeline

    monkeypatch.delenv("SAERL_TRAINER_IMAGE", raising=False)
    monkeypatch.setenv("SAERL_PIPELINE_IMAGE", "registry.example.com/saerl/pipeline")
    with pytest.raises(ConfigError, match="needs SAERL_TRAINER_IMAGE"):
        saerl_pipeline.with_options(config_path=RUN_FILE)()


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_run_file_knows_every_step_and_asks_for_gpus_where_a_model_runs(name):
    from pipelines.placement import gpu_steps

    path = ROOT / "configs" / name
    steps = {step.stem for step in STEPS}
    assert steps <= set(yaml.safe_load(path.read_text())["steps"])
    drivers = {"train_policy"} if "ray" in name else set()
    assert set(gpu_steps(str(path))) & steps == steps_that_run_a_model() - drivers


def test_the_run_files_hold_together():
    one, ray, plain = (
        load_config(ROOT / "configs" / name).model_dump(mode="json")
        for name in ("kubernetes.yaml", "kubernetes_ray.yaml", "grpo_qwen2.5_math_1.5b.yaml")
    )
    for config in (one, ray, plain):
        for key in ("python", "launch", "ray_address", "n_nodes"):
            config["training"]["openrlhf"].pop(key)
        config["rollouts"].pop("python")  # the same interpreter
    assert one == plain
    assert ray == one
    files = [yaml.safe_load((ROOT / "configs" / name).read_text()) for name in RUN_FILES]
    for content in files:
        content.pop("parameters")
        for name in ("train_policy", "run_trial"):
            content["steps"].pop(name)
    assert json.dumps(files[0]) == json.dumps(files[1])


@pytest.mark.parametrize(
    ("state", "deleted"), [("running", []), ("completed", ["saerl-token-1"]), ("failed", ["saerl-token-1"])]
)
def test_the_secret_of_a_step_goes_when_it_has_ended(monkeypatch, state, deleted):
    from zenml.enums import ExecutionStatus
    from zenml.integrations.kubernetes import kube_utils
    from zenml.integrations.kubernetes.step_operators import KubernetesStepOperator

    from pipelines.step_operator import GpuPodsStepOperator

    gone = []
    monkeypatch.setattr(KubernetesStepOperator, "get_status", lambda *_: ExecutionStatus(state))
    monkeypatch.setattr(KubernetesStepOperator, "_k8s_core_api", None)
    monkeypatch.setattr(kube_utils, "delete_secret", lambda **given: gone.append(given["secret_name"]))
    operator = GpuPodsStepOperator.__new__(GpuPodsStepOperator)
    operator._config = SimpleNamespace(kubernetes_namespace="saerl")
    assert operator.get_status(SimpleNamespace(id=1)) == ExecutionStatus(state)
    assert gone == deleted
