"""A comparison on a cluster: one pod a trial, with the GPUs of the trainer, none of which waits for another."""

import pytest
import yaml

from saerl_core.config.load import load_config
from tests.deploy.rendering import RUN_FILES, compiled, operator_jobs, step_jobs
from tests.deploy.test_pods import assert_gpu_pod, assert_no_secret, assert_on_the_volume, assert_valid, gpus, mounts
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]
COMPARE = {
    "baseline": "vanilla",
    "seeds": [0, 1],
    "place": "steps",
    "budget_rollouts": 10240,
    "n_evaluations": 5,
    "arms": [
        {"name": "vanilla", "plan": {"strategy": "vanilla"}},
        {"name": "ours", "plan": {"strategy": "adaptive"}},
        {"name": "max", "plan": {"strategy": "saerl"}, "features": {"pooling": "max"}},
    ],
}
TRIALS = {f"trial_{arm['name']}_{seed}" for arm in COMPARE["arms"] for seed in (0, 1)}


@pytest.fixture(scope="module")
def comparison(run_files, tmp_path_factory):
    """A run file with a comparison in it: comparison(name of the run file) -> path."""

    def write(name):
        content = yaml.safe_load(run_files[name].read_text())
        content["parameters"]["compare"] = COMPARE
        content["parameters"]["prompts"]["eval_path"] = "/var/lib/saerl/held_out.jsonl"
        del content["parameters"]["export"]  # which a comparison refuses
        path = tmp_path_factory.mktemp("comparison") / name
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def test_every_trial_is_a_pod_with_the_gpus_of_the_trainer(stacks, comparison):
    from pipelines.comparing import compare_pipeline

    snapshot = compiled("k8s-gpu", comparison("kubernetes.yaml"), compare_pipeline)
    waits_for = {name: set(step.spec.upstream_steps) for name, step in snapshot.step_configurations.items()}
    assert set(waits_for) >= TRIALS
    assert all(waits_for[trial] == {"prepare_trials"} for trial in TRIALS), "they run side by side"
    assert waits_for["collect_trials"] >= TRIALS
    assert "run_trials" not in waits_for
    jobs = step_jobs("k8s-gpu", snapshot)
    n_gpus = load_config(comparison("kubernetes.yaml")).training.openrlhf.gpus_per_node
    for trial in TRIALS:
        assert_gpu_pod(jobs[trial], n_gpus)
        assert_valid(jobs[trial])
        assert jobs[trial]["spec"]["activeDeadlineSeconds"] == 345600
    assert "persistentVolumeClaim" in mounts(jobs["collect_trials"])["/var/lib/saerl"]
    assert gpus(jobs["compare_trials"]) == 0
    for step in ("obtain_sae", "extract_sae_features", "train_quality_probe"):
        assert gpus(jobs[f"{step}_max"]) == gpus(jobs[step]), "an arm's own SAE gets what the run's own gets"
    assert gpus(jobs["obtain_sae_max"]) > 0


def test_with_ray_a_trial_is_a_driver_on_the_volume(stacks, comparison):
    from pipelines.comparing import compare_pipeline

    jobs = step_jobs("k8s-gpu", compiled("k8s-gpu", comparison("kubernetes_ray.yaml"), compare_pipeline))
    for trial in TRIALS:
        assert gpus(jobs[trial]) == 0
        assert_on_the_volume(jobs[trial])


def test_on_a_local_orchestrator_trials_are_pods_of_the_step_operator(stacks, comparison):
    from pipelines.comparing import compare_pipeline

    snapshot = compiled("local-gpu-pods", comparison("kubernetes.yaml"), compare_pipeline)
    jobs, secrets = operator_jobs("local-gpu-pods", snapshot)
    assert set(jobs) >= TRIALS
    assert_no_secret(jobs, secrets)


def test_the_run_files_know_the_steps_of_a_comparison(run_files):
    for name in RUN_FILES:
        steps = yaml.safe_load(run_files[name].read_text())["steps"]
        assert {"prepare_trials", "run_trial", "collect_trials", "compare_trials"} <= set(steps)
