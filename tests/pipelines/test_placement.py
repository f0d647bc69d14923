"""Where steps run: what a run says about its shards, and whose settings their steps have."""

from pathlib import Path

from click.testing import CliRunner

from pipelines.__main__ import main
from pipelines.placement import copied_steps, replaced_steps, settings_of_copies
from saerl_core.config.load import load_config, validate

RUN_FILE = str(Path(__file__).resolve().parents[2] / "configs" / "kubernetes.yaml")


def test_validate_says_how_many_pods_and_gpus():
    done = CliRunner().invoke(main, ["validate", "-c", RUN_FILE, "--set", "shards.features=4"])
    assert done.output.splitlines()[0] == (
        "extract_sae_features runs in 4 shards (shards.features): on Kubernetes 4 pods side by side with 1 GPU each, "
        "4 in all, elsewhere one after another"
    )
    done = CliRunner().invoke(main, ["validate", "--set", "shards.pass_rates=2", "--set", "difficulty.label=pass_rate"])
    assert "measure_pass_rates runs in 2 shards (shards.pass_rates): on Kubernetes 2 pods" in done.output
    assert "with no GPU" in done.output
    assert "shards" not in CliRunner().invoke(main, ["validate"]).output


def test_a_shard_has_the_settings_of_its_step():
    config = load_config(RUN_FILE, {"shards.features": 2})
    copies = copied_steps(config, compares=False)
    assert copies == dict.fromkeys(
        ["extract_sae_features_shard_1", "extract_sae_features_shard_2"], "extract_sae_features"
    )
    assert "extract_sae_features" in replaced_steps(config)
    found = settings_of_copies(RUN_FILE, copies)
    assert found["extract_sae_features_shard_1"] == found["extract_sae_features_shard_2"]
    assert found["extract_sae_features_shard_1"]["retry"] == {"max_retries": 3}


def test_an_arm_with_an_sae_of_its_own_has_shards_too():
    arms = [
        {"name": "a", "plan": {"strategy": "vanilla"}},
        {"name": "b", "plan": {"strategy": "saerl"}, "sae": {"k": 3}},
    ]
    compare = {"baseline": "a", "arms": arms, "budget_rollouts": 1280, "place": "steps", "seeds": [0]}
    copies = copied_steps(validate({"shards": {"features": 2}, "compare": compare}), compares=True)
    assert copies["extract_sae_features_b_shard_2"] == "extract_sae_features"
    assert copies["trial_a_0"] == "run_trial"


def test_without_shards_there_are_no_copies():
    assert copied_steps(validate({}), compares=False) == {}
