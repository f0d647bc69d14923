"""Pods as a cluster would get them: what GPU steps have and CPU steps have not, made without a cluster."""

import copy
import json

import kubernetes_validate
import pytest
import yaml

from tests.deploy.conftest import SECRETS
from tests.deploy.rendering import (
    ENVIRONMENT,
    IN_TRAINER_IMAGE,
    ROOT,
    RUN_FILES,
    STEPS,
    TOKEN,
    TOKEN_NAME,
    compiled,
    container,
    operator_jobs,
    steps_that_run_a_model,
)
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]

GPU = "nvidia.com/gpu"
GPU_STEPS = steps_that_run_a_model()
PLANTED = [TOKEN, *(value for values in SECRETS.values() for value in values.values())]


def pod(job):
    return job["spec"]["template"]["spec"]


def gpus(job):
    return int(container(job)["resources"].get("limits", {}).get(GPU, 0))


def variables(job):
    return {entry["name"]: entry for entry in container(job)["env"]}


def mounts(job):
    """Where each volume of the pod is, by mount path; a mount without its volume fails here."""
    volumes = {volume["name"]: volume for volume in pod(job).get("volumes", [])}
    return {mount["mountPath"]: volumes[mount["name"]] for mount in container(job).get("volumeMounts", [])}


def assert_gpu_pod(job, n_gpus):
    assert gpus(job) == n_gpus
    assert container(job)["resources"]["requests"][GPU] == str(n_gpus)
    assert pod(job)["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert {"key": GPU, "operator": "Exists", "effect": "NoSchedule"} in pod(job)["tolerations"]
    assert mounts(job)["/dev/shm"]["emptyDir"]["medium"] == "Memory"
    assert mounts(job)["/var/lib/saerl"]["persistentVolumeClaim"] == {"claimName": "saerl"}
    assert_on_the_volume(job)


def assert_on_the_volume(job):
    """Work folders, models and temporary copies are on the shared volume; the Hub's token is a reference."""
    given = variables(job)
    for name in ("SAERL_HOME", "HF_HOME", "TMPDIR"):
        assert given[name]["value"].startswith("/var/lib/saerl"), name
    assert given["HF_TOKEN"].get("value") is None
    assert given["HF_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "saerl-huggingface"


def assert_valid(manifest):
    for version in ("1.31", "1.35"):
        kubernetes_validate.validate(manifest, version, strict=True)


def assert_no_secret(jobs, secrets):
    """The operator's Jobs name the Secret that was made for them, and hold no value of any."""
    for step, job in jobs.items():
        assert not [value for value in PLANTED if value in json.dumps(job)]
        reference = variables(job)[TOKEN_NAME]["valueFrom"]["secretKeyRef"]
        assert reference["name"] == secrets[step]["secret_name"]
        assert secrets[step]["data"] == {reference["key"]: TOKEN}


def test_the_steps_that_run_a_model_are_known_from_the_imports():
    assert {"extract_sae_features", "train_policy", "evaluate_policy"} <= GPU_STEPS
    assert {"obtain_sae", "measure_pass_rates", "measure_likelihoods", "train_quality_probe"} <= GPU_STEPS
    assert not {"load_prompts", "load_benchmarks", "cluster_prompts", "embed_prompts", "write_report"} & GPU_STEPS


@pytest.mark.parametrize("name", RUN_FILES)
def test_gpu_steps_have_what_a_gpu_needs(k8s_jobs, name):
    jobs = k8s_jobs[name]
    assert set(jobs) == {path.stem for path in STEPS}
    for step in GPU_STEPS - {"train_policy"}:
        assert_gpu_pod(jobs[step], 1)


def test_training_takes_the_gpus_that_its_settings_name(k8s_jobs):
    job = k8s_jobs["kubernetes.yaml"]["train_policy"]
    parameters = yaml.safe_load((ROOT / "configs" / "kubernetes.yaml").read_text())["parameters"]
    assert_gpu_pod(job, parameters["training"]["openrlhf"]["gpus_per_node"])


@pytest.mark.parametrize("name", RUN_FILES)
def test_cpu_steps_have_none_of_it(k8s_jobs, name):
    jobs = k8s_jobs[name]
    cpu_steps = set(jobs) - GPU_STEPS
    assert {"load_prompts", "cluster_prompts", "write_report"} <= cpu_steps
    for step in cpu_steps:
        text = json.dumps(jobs[step])
        for word in (GPU, "nodeSelector", "tolerations", "/dev/shm", "persistentVolumeClaim", "HF_TOKEN"):
            assert word not in text, (step, word)


@pytest.mark.parametrize("name", RUN_FILES)
def test_every_step_has_its_image_its_account_its_limits_and_no_rights(k8s_jobs, name):
    for step, job in k8s_jobs[name].items():
        image = "SAERL_TRAINER_IMAGE" if step in IN_TRAINER_IMAGE else "SAERL_PIPELINE_IMAGE"
        assert container(job)["image"] == ENVIRONMENT[image]
        assert pod(job)["serviceAccountName"] == "saerl-step"
        assert pod(job)["securityContext"]["runAsNonRoot"] is True
        assert container(job)["securityContext"]["privileged"] is False
        assert {"cpu", "memory"} <= set(container(job)["resources"]["requests"])
        assert "memory" in container(job)["resources"]["limits"]


@pytest.mark.parametrize("name", RUN_FILES)
def test_every_step_is_retried_and_ends(k8s_jobs, name):
    for step, job in k8s_jobs[name].items():
        spec = job["spec"]
        assert spec["backoffLimit"] >= 3, step
        assert 0 < spec["activeDeadlineSeconds"] <= 345600, step
        first, second = spec["podFailurePolicy"]["rules"]  # a node that is taken away costs no retry
        assert (first["action"], second["action"]) == ("Ignore", "Count")


def test_a_silent_step_is_noticed(stacks, run_files):
    for stack in ("k8s-gpu", "local-gpu-pods"):
        snapshot = compiled(stack, run_files["kubernetes.yaml"])
        assert snapshot.pipeline_configuration.enable_heartbeat
        for step in snapshot.step_configurations.values():
            assert step.spec.enable_heartbeat == (stack == "k8s-gpu")  # ZenML has none with a local orchestrator
            assert 10 <= step.config.heartbeat_healthy_threshold <= 60


@pytest.mark.parametrize("name", RUN_FILES)
def test_step_manifests_obey_the_schema(k8s_jobs, name):
    for job in k8s_jobs[name].values():
        assert_valid(job)


def test_the_validator_sees_a_wrong_manifest(k8s_jobs):
    for path, wrong in (("nodeSelectors", {"a": "b"}), ("tolerations", {"key": "no list"})):
        job = copy.deepcopy(k8s_jobs["kubernetes.yaml"]["train_policy"])
        pod(job)[path] = wrong
        with pytest.raises(kubernetes_validate.ValidationError):
            assert_valid(job)


def test_the_job_that_starts_a_run(start):
    job, secrets = start
    assert_valid(job)
    assert pod(job)["serviceAccountName"] == "saerl-orchestrator"
    assert container(job)["image"] == ENVIRONMENT["SAERL_PIPELINE_IMAGE"]
    assert GPU not in json.dumps(job)
    assert [secret["data"] for secret in secrets] == [{"zenml_api_token": TOKEN}]
    assert variables(job)[TOKEN_NAME]["valueFrom"]["secretKeyRef"]["name"] == secrets[0]["secret_name"]


def test_no_secret_is_in_a_manifest(k8s_jobs, start):
    manifests = [start[0], *(job for jobs in k8s_jobs.values() for job in jobs.values())]
    for job in manifests:
        text = json.dumps(job)
        assert not [value for value in PLANTED if value in text]
        assert "secretKeyRef" in json.dumps(variables(job)[TOKEN_NAME])


def test_gpu_steps_of_a_local_run_are_pods(stacks, run_files, k8s_jobs):
    """The same run file on a local orchestrator: the step operator's pods are those of the Kubernetes stack."""
    jobs, secrets = operator_jobs("local-gpu-pods", compiled("local-gpu-pods", run_files["kubernetes.yaml"]))
    assert_no_secret(jobs, secrets)
    assert set(jobs) == GPU_STEPS & set(k8s_jobs["kubernetes.yaml"])
    for step, job in jobs.items():
        assert_valid(job)
        other = k8s_jobs["kubernetes.yaml"][step]
        assert_gpu_pod(job, gpus(other))
        for key in ("resources", "image", "volumeMounts"):
            assert container(job)[key] == container(other)[key]
        for key in ("nodeSelector", "tolerations", "volumes", "securityContext", "serviceAccountName"):
            assert pod(job)[key] == pod(other)[key]
        assert job["spec"]["activeDeadlineSeconds"] == other["spec"]["activeDeadlineSeconds"]


def test_a_driver_of_ray_has_the_volume_and_no_gpu(k8s_jobs):
    job = k8s_jobs["kubernetes_ray.yaml"]["train_policy"]
    assert gpus(job) == 0
    assert "nodeSelector" not in pod(job)
    assert mounts(job)["/var/lib/saerl"]["persistentVolumeClaim"] == {"claimName": "saerl"}
    assert_on_the_volume(job)
