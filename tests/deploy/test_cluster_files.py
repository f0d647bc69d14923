"""The files that a person applies to the cluster: valid, and of one mind with the run files."""

import kubernetes_validate
import pytest
import yaml

from tests.deploy.rendering import ROOT

CLUSTER = [*sorted((ROOT / "deploy" / "cluster").glob("*.yaml")), ROOT / "deploy" / "ray" / "network.yaml"]


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


def ray():
    return documents(ROOT / "deploy" / "ray" / "raycluster.yaml")[0]


def parameters(name):
    return yaml.safe_load((ROOT / "configs" / name).read_text())["parameters"]["training"]["openrlhf"]


def pod_templates(cluster):
    return [cluster["spec"]["headGroupSpec"]["template"], *(g["template"] for g in cluster["spec"]["workerGroupSpecs"])]


def settings(name, step):
    return yaml.safe_load((ROOT / "configs" / name).read_text())["steps"][step]["settings"]["orchestrator.kubernetes"]


@pytest.mark.parametrize("path", CLUSTER, ids=lambda p: p.stem)
def test_what_is_applied_obeys_the_schema(path):
    for document in documents(path):
        kubernetes_validate.validate(document, "1.35", strict=True)
        assert "saerl" in (document["metadata"].get("namespace"), document["metadata"]["name"])


def test_the_accounts_and_the_volume_are_those_of_the_run_file():
    found = {(d["kind"], d["metadata"]["name"]) for path in CLUSTER for d in documents(path)}
    pipeline = yaml.safe_load((ROOT / "configs" / "kubernetes.yaml").read_text())["settings"]["orchestrator.kubernetes"]
    assert ("ServiceAccount", pipeline["service_account_name"]) in found
    assert ("ServiceAccount", pipeline["step_pod_service_account_name"]) in found
    volumes = settings("kubernetes.yaml", "train_policy")["pod_settings"]["volumes"]
    claims = {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}
    assert {("PersistentVolumeClaim", claim) for claim in claims} <= found


def test_a_step_may_do_nothing_in_the_cluster():
    accounts = documents(ROOT / "deploy" / "cluster" / "accounts.yaml")
    step = next(d for d in accounts if d["kind"] == "ServiceAccount" and d["metadata"]["name"] == "saerl-step")
    assert step["automountServiceAccountToken"] is False
    bound = [s["name"] for d in accounts if d["kind"] == "RoleBinding" for s in d["subjects"]]
    assert bound == ["saerl-orchestrator"]
    verbs = [verb for d in accounts if d["kind"] == "Role" for rule in d["rules"] for verb in rule["verbs"]]
    assert "*" not in verbs


def test_the_pods_of_ray_obey_the_schema():
    """The schema of RayCluster is KubeRay's; the pods inside are plain ones."""
    for template in pod_templates(ray()):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", **template["metadata"]}}
        kubernetes_validate.validate({**pod, "spec": template["spec"]}, "1.35", strict=True)


def test_ray_has_the_gpus_and_the_address_that_the_run_file_names():
    cluster, given = ray(), parameters("kubernetes_ray.yaml")
    (workers,) = cluster["spec"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    assert workers["replicas"] == given["n_nodes"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == str(given["gpus_per_node"])
    assert workers["rayStartParams"]["num-gpus"] == str(given["gpus_per_node"])
    assert given["ray_address"] == f"http://{cluster['metadata']['name']}-head-svc:8265"
    assert given["launch"] == "ray_job"


def test_driver_and_ray_see_the_same_files_under_the_same_path():
    driver = settings("kubernetes_ray.yaml", "train_policy")["pod_settings"]
    home = next(e["value"] for e in driver["env"] if e["name"] == "SAERL_HOME")
    for template in pod_templates(ray()):
        (container,) = template["spec"]["containers"]
        assert {"name": "saerl", "mountPath": home} in container["volumeMounts"]
        assert {"name": "saerl", "mountPath": home} in driver["volume_mounts"]
        volume = next(v for v in template["spec"]["volumes"] if v["name"] == "saerl")
        assert volume in driver["volumes"]
        assert container["image"] == "${SAERL_TRAINER_IMAGE}"


def test_only_the_driver_reaches_the_job_server():
    (policy,) = documents(ROOT / "deploy" / "ray" / "network.yaml")
    roles = [t["metadata"]["labels"]["saerl/role"] for t in pod_templates(ray())]
    assert set(roles) == {policy["spec"]["podSelector"]["matchLabels"]["saerl/role"]}
    driver = settings("kubernetes_ray.yaml", "train_policy")["pod_settings"]["labels"]["saerl/role"]
    allowed = [f["podSelector"]["matchLabels"].get("saerl/role") for f in policy["spec"]["ingress"][0]["from"]]
    assert allowed == ["ray", driver, None]
    assert ray()["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"
