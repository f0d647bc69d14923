"""A pool in shards on a cluster: a pod with a GPU for each, none of which waits for another, and one that merges."""

import pytest
import yaml

from tests.deploy.rendering import RUN_FILES, compiled, operator_jobs, step_jobs
from tests.deploy.test_pods import assert_gpu_pod, assert_no_secret, assert_on_the_volume, assert_valid, gpus
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]
FEATURES = {f"extract_sae_features_shard_{i}" for i in (1, 2, 3)}
LABELS = {f"measure_pass_rates_shard_{i}" for i in (1, 2)}
LIKELIHOODS = {f"measure_likelihoods_shard_{i}" for i in (1, 2)}
SHARDS = FEATURES | LABELS | LIKELIHOODS
MERGES = {"merge_features", "merge_pass_rates", "merge_likelihoods"}


@pytest.fixture(scope="module")
def sharded(run_files, tmp_path_factory):
    """A run file with shards in it: sharded(name of the run file) -> path."""

    def write(name):
        content = yaml.safe_load(run_files[name].read_text())
        content["parameters"]["shards"] = {"features": 3, "pass_rates": 2, "likelihoods": 2}
        path = tmp_path_factory.mktemp("sharded") / name
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.mark.parametrize("name", RUN_FILES)
def test_every_shard_is_a_pod_with_the_settings_of_its_step(stacks, sharded, k8s_jobs, name):
    snapshot = compiled("k8s-gpu", sharded(name))
    waits_for = {step: set(content.spec.upstream_steps) for step, content in snapshot.step_configurations.items()}
    assert not {"extract_sae_features", "measure_pass_rates", "measure_likelihoods"} & set(waits_for)
    assert all(not waits_for[shard] & SHARDS for shard in FEATURES | LABELS), "they run side by side"
    assert all(waits_for[shard] == {"load_prompts", "prepare_policy"} for shard in LIKELIHOODS)
    assert waits_for["merge_features"] >= FEATURES
    assert waits_for["merge_pass_rates"] >= LABELS
    assert waits_for["merge_likelihoods"] >= LIKELIHOODS
    assert "merge_likelihoods" in waits_for["embed_prompts"]
    jobs = step_jobs("k8s-gpu", snapshot)
    for shards, of in (
        (FEATURES, "extract_sae_features"),
        (LABELS, "measure_pass_rates"),
        (LIKELIHOODS, "measure_likelihoods"),
    ):
        for shard in shards:
            assert_gpu_pod(jobs[shard], gpus(k8s_jobs[name][of]))
            assert_on_the_volume(jobs[shard])
            assert_valid(jobs[shard])
            assert jobs[shard]["spec"]["activeDeadlineSeconds"] == k8s_jobs[name][of]["spec"]["activeDeadlineSeconds"]
    for merge in sorted(MERGES):
        assert gpus(jobs[merge]) == 0
        assert_valid(jobs[merge])
    assert_on_the_volume(jobs["merge_features"])


def test_on_a_local_orchestrator_shards_are_pods_of_the_step_operator(stacks, sharded):
    jobs, secrets = operator_jobs("local-gpu-pods", compiled("local-gpu-pods", sharded("kubernetes.yaml")))
    assert set(jobs) >= SHARDS
    assert not MERGES & set(jobs)
    assert_no_secret(jobs, secrets)
