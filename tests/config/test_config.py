"""A configuration that cannot work is refused before any work starts, in one message: field, value, bound, way out."""

from pathlib import Path

import pytest

from saerl_core.config.load import flatten, load_config, validate
from saerl_core.config.run import FeaturesConfig, RunConfig
from saerl_core.errors import ConfigError
from saerl_core.plan.strategies import STRATEGIES
from tests.config.bases import FILE, PRETRAINED, TEXT, merged, message, write

LABELLED = {"plan": {"strategy": "saerl"}}  # goes by measured pass rates
CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def test_no_file_is_needed():
    assert load_config() == validate({}) == RunConfig()


@pytest.mark.parametrize("base", [FILE | PRETRAINED, TEXT, {}])
def test_the_bases_of_these_tests_work(base):
    assert validate(base).model_dump(exclude_unset=True).keys() - {"plan"} == base.keys()


def test_the_default_is_what_did_better_on_the_benchmark_and_the_papers_plan_where_nothing_is_trained():
    assert validate({}).plan.strategy.name == "adaptive"
    assert validate({}).training.group_size == 4
    untrained = {"training": {"enabled": False}}
    assert validate(untrained).plan.strategy.name == "saerl"
    assert validate(untrained | {"plan": {"n_steps": 5}}).plan.n_steps == 5
    assert validate(untrained | {"plan": {"strategy": "vanilla"}}).plan.strategy.name == "vanilla"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_the_configs_of_the_repository_are_valid(path):
    assert load_config(path) != RunConfig()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (
            {"plan": {"stratgy": "vanilla"}},
            "plan.stratgy is not a setting; did you mean plan.strategy?",
        ),
        ({"strategy": "vanilla"}, "strategy is not a setting; did you mean plan.strategy?"),
        ({"plan": {"group_size": 8}}, "plan.group_size is not a setting; did you mean training.group_size?"),
        ({"plans": {}}, "plans is not a setting; did you mean plan?"),
        (
            {"plan": {"strategy": "fast"}},
            f"plan.strategy = 'fast' is not known: it must be {', '.join(map(repr, [*STRATEGIES][:-1]))} or "
            "'oracle_learnability'; leave it out for 'adaptive'",
        ),
        (
            {"plan": {"prompts_per_step": "many"}},
            "plan.prompts_per_step = 'many' has the wrong type: it must be a whole number; leave it out for 32",
        ),
        (
            {"plan": {"n_steps": True}},
            "plan.n_steps = True has the wrong type: it must be a whole number; leave it out for 120",
        ),
        (
            {"plan": {"n_steps": 10**12}},
            "plan.n_steps = 1000000000000 is out of range: it must be at most 1000000; leave it out for 120",
        ),
        (
            {"training": {"lr": False}},
            "training.lr = False has the wrong type: it must be a number; leave it out for 0.0005",
        ),
        (
            {"gate": {"model_name": "é"}},
            "gate.model_name = 'é' has the wrong form: it must match ^[A-Za-z0-9][A-Za-z0-9._-]*$; "
            "leave it out for 'saerl'",
        ),
        (
            {"plan": {"n_steps": 0}},
            "plan.n_steps = 0 is out of range: it must be at least 1; leave it out for 120",
        ),
        (
            {"plan": {"strategy": {"name": "saerl", "mix_frac": 1.5}}},
            "plan.strategy.mix_frac = 1.5 is out of range: it must be at most 1.0; leave it out for 0.125",
        ),
        (
            {"training": {"clip_low": 0}},
            "training.clip_low = 0 is out of range: it must be greater than 0.0; leave it out for 0.2",
        ),
        (
            {"training": {"lr": float("inf")}},
            "training.lr = inf has the wrong type: it must be a finite number; leave it out for 0.0005",
        ),
        (
            {"plan": {"strategy": {"name": "saerl", "use_quality": "maybe"}}},
            "plan.strategy.use_quality = 'maybe' has the wrong type: it must be true or false; leave it out for True",
        ),
        (
            {"evaluation": {"benchmarks": [{"path": "p"}]}},
            "evaluation.benchmarks[0].name is not set and has no default; set it",
        ),
        (
            {"evaluation": {"benchmarks": [{"name": "a", "path": "p", "n_samples": 0}]}},
            "evaluation.benchmarks[0].n_samples = 0 is out of range: it must be at least 1",
        ),
        (
            {"evaluation": {"benchmarks": [{"name": "a", "path": "p", "columns": {"promt": "q"}}]}},
            "evaluation.benchmarks[0].columns.promt is not a setting; did you mean "
            "evaluation.benchmarks[0].columns.prompt?",
        ),
        ({"plan": 3}, "plan = 3 has the wrong type: it must be a section with settings of its own"),
        ({"prompts": {"path": 3}}, "prompts.path = 3 has the wrong type: it must be a text"),
        ({"evaluation": {"ks": 3}}, "evaluation.ks = 3 has the wrong type: it must be a list; leave it out for [1, 8]"),
        ({"evaluation": {"ks": [1, 0]}}, "evaluation.ks[1] = 0 is out of range: it must be at least 1"),
        (
            {"prompts": {"task_world": {"level_weights": [1, 2]}}},
            "prompts.task_world.level_weights = [1, 2] has the wrong length: it must list 5 values; "
            "leave it out for [1.0, 1.0, 1.0, 1.0, 1.0]",
        ),
    ],
)
def test_one_wrong_value_is_one_line(parameters, expected):
    assert message(parameters) == expected


def test_a_setting_like_no_other_is_answered_with_the_whole_list():
    known = ", ".join(FeaturesConfig.model_fields)
    assert message({"features": {"xyz": 1}}) == f"features.xyz is not a setting; section 'features' has {known}"


def test_all_problems_are_told_at_once():
    text = message({"seed": -1, "plan": {"strategy": "x", "n_steps": "y"}, "sae": {"kk": 1}})
    lines = text.split("\n")
    assert lines[0] == "the configuration has 4 problems:"
    assert [line.split()[1] for line in lines[1:]] == ["seed", "sae.kk", "plan.strategy", "plan.n_steps"]


@pytest.mark.parametrize(
    ("base", "changes", "fields", "way_out"),
    [
        ({}, {"prompts": {"source": "hub"}, **{k: TEXT[k] for k in TEXT if k != "prompts"}}, "prompts.dataset", "name"),
        (TEXT, {"prompts": {"path": None}}, "prompts.source is 'file', but prompts.path is not set", "name a JSONL"),
        ({}, {"prompts": {"path": "a.csv"}}, "prompts.path is 'a.csv'", "set prompts.source to 'file'"),
        ({}, {"prompts": {"dataset": "a/b"}}, "prompts.dataset is 'a/b'", "set prompts.source to 'hub'"),
        ({}, {"prompts": {"eval_path": "a"}}, "prompts.eval_path is 'a'", "remove prompts.eval_path"),
        (
            {},
            {"prompts": {"task_world": {"level_weights": [0, 0, 0, 0, 0]}}},
            "prompts.task_world.level_weights",
            "must be above 0",
        ),
        (PRETRAINED, {"policy": {"model": None}}, "policy.model is not set", "name a local folder"),
        ({}, {"policy": {"model": "m"}}, "policy.model is 'm'", "set policy.source to 'pretrained'"),
        (PRETRAINED, {"policy": {"source": "task_world", "model": None}}, "the built-in policy", "set policy.source"),
        ({}, {"policy": {"chat_template": True}}, "policy.chat_template is true", "set policy.source to 'pretrained'"),
        (PRETRAINED, {"policy": {"system_prompt": "x"}}, "policy.system_prompt is set", "remove policy.system_prompt"),
        ({}, {"policy": {"hidden_size": 66}}, "policy.hidden_size is 66", "2 * policy.n_heads = 8; set it to 72"),
        (TEXT, {"difficulty": {"label": "pass_rate"}}, "difficulty.label is 'pass_rate'", "set difficulty.label to"),
        (TEXT, {"training": {"enabled": True}}, "training.enabled is true", "set training.enabled to false"),
        (
            TEXT,
            {"evaluation": {"enabled": True}, "prompts": {"eval_path": "e"}},
            "evaluation.enabled is true",
            "set evaluation.enabled to false",
        ),
        ({}, {"sae": {"source": "load"}}, "sae.path is not set", "name a local sae-lens folder"),
        ({}, {"sae": {"path": "p"}}, "sae.path is 'p'", "set sae.source to 'load'"),
        ({}, {"sae": {"k": 512}}, "sae.k is 512", "set sae.k below 512 or raise sae.expansion"),
        ({}, {"sae": {"hook_layer": 3}}, "sae.hook_layer is 3", "set it to at most 2"),
        ({}, {"quality": {"labels": "column"}}, "quality.labels is 'column'", "prompts.columns.quality"),
        ({}, {"quality": {"n_corruptions": 3}}, "quality.n_corruptions is 3", "use fewer folds"),
        ({}, {"difficulty": {"label": "known_pass_rate"}}, "'known_pass_rate'", "prompts.columns.pass_rate"),
        (TEXT, {"prompts": {"columns": {"level": None}}}, "prompts.columns.level is not set", "name the column"),
        (LABELLED, {"pass_rates": {"n_labelled": 4}}, "pass_rates.n_labelled is 4", "label more prompts"),
        (TEXT, {"difficulty": {"n_labelled": 4}}, "difficulty.n_labelled is 4", "label more prompts"),
        (
            {},
            {"plan": {"strategy": {"name": "vanilla", "mix_frac": 0.5}}},
            "plan.strategy.mix_frac is not a setting of the strategy in use",
            "plan.strategy: {name: saerl, mix_frac: ...}",
        ),
        (
            {},
            {"plan": {"strategy": "difficulty", "use_clusters": False}},
            "plan.use_clusters is not a setting",
            "'saerl' reads it",
        ),
        (
            {},
            {"plan": {"strategy": {"name": "saerl", "grouping": "interleaved", "use_clusters": False}}},
            "plan.strategy.grouping is 'interleaved'",
            "set plan.strategy.use_clusters to true",
        ),
        ({}, {"plan": {"prompts_per_step": 2401}}, "plan.prompts_per_step is 2401", "n_train = 2400; lower it"),
        (PRETRAINED, {"prompts": {"max_rows": 9}}, "plan.prompts_per_step is 32", "prompts.max_rows = 9"),
        (PRETRAINED, {"prompts": {"eval_path": None}}, "has no held-out split", "name a file in prompts.eval_path"),
        (PRETRAINED, {"evaluation": {"split": "dev"}}, "evaluation.split is 'dev'", "set evaluation.split to 'test'"),
        (
            {},
            {"evaluation": {"split": "dev"}, "prompts": {"task_world": {"n_dev": 0}}},
            "there is no dev split",
            "raise prompts.task_world.n_dev",
        ),
        ({}, {"evaluation": {"ks": [1, 16]}}, "evaluation.ks holds 16", "raise evaluation.n_samples"),
        ({}, {"evaluation": {"ks": []}}, "evaluation.ks is empty", "name at least one k"),
        ({}, {"evaluation": {"benchmarks": [{"name": "mean", "path": "p"}]}}, "name is 'mean'", "use letters, digits"),
        ({}, {"evaluation": {"benchmarks": [{"name": "a/b", "path": "p"}]}}, "name is 'a/b'", "use letters, digits"),
        (
            {},
            {"evaluation": {"benchmarks": [{"name": "a", "path": "p"}, {"name": "a", "path": "q"}]}},
            "evaluation.benchmarks[1].name is 'a'",
            "its own name",
        ),
        ({}, {"evaluation": {"benchmarks": [{"name": "a"}]}}, "'a' has neither of path and dataset", "name either"),
        (
            {},
            {"evaluation": {"benchmarks": [{"name": "a", "path": "p", "dataset": "q"}]}},
            "'a' has both of path and dataset",
            "name either",
        ),
        (
            {},
            {"evaluation": {"ks": [1, 8], "benchmarks": [{"name": "a", "path": "p", "n_samples": 4}]}},
            "evaluation.ks holds 8, but no benchmark has more than 4",
            "remove that k",
        ),
        (
            {},
            {
                "evaluation": {
                    "temperature": 0,
                    "n_samples": 1,
                    "ks": [1],
                    "benchmarks": [{"name": "a", "path": "p", "n_samples": 4}],
                }
            },
            "evaluation.n_samples of a benchmark is 4",
            "raise the temperature",
        ),
        ({}, {"evaluation": {"temperature": 0}}, "evaluation.n_samples is 8", "set evaluation.n_samples to 1"),
        (PRETRAINED, {"grading": {"kind": "task_world"}}, "grading.kind is 'task_world'", "set grading.kind to 'math'"),
        ({}, {"grading": {"kind": "python"}}, "grading.function is not set", "name it as package.module:function"),
        ({}, {"grading": {"function": "a:b"}}, "grading.function is 'a:b', but grading.kind 'task_world'", "'python'"),
        ({}, {"grading": {"correct_from": 0.9}}, "grading.correct_from is '0.9'", "remove grading.correct_from"),
        ({}, {"grading": {"kind": "python", "function": "a.b"}}, "grading.function is 'a.b'", "my_rewards:grade"),
        ({}, {"grading": {"kind": "python", "function": "a b:c"}}, "grading.function is 'a b:c'", "my_rewards:grade"),
        ({}, {"grading": {"kind": "python", "function": "a.py:c()"}}, "is 'a.py:c()'", "my_rewards:grade"),
    ],
)
def test_a_combination_that_cannot_work_is_one_line(base, changes, fields, way_out):
    text = message(merged(base, changes))
    assert "\n" not in text
    assert fields in text
    assert way_out in text


def test_several_impossible_combinations_are_told_at_once():
    text = message({"training": {"algorithm": "ppo"}, "sae": {"k": 512}})
    assert text.startswith("the configuration has 2 problems:\n  - sae.k is 512")
    assert "\n  - training.algorithm is 'ppo'" in text


def test_benchmarks_are_held_out_prompts_enough():
    named = [{"name": "a", "path": "p", "n_samples": 16}, {"name": "b", "dataset": "o/b", "n_samples": 1}]
    config = validate(merged(PRETRAINED, {"prompts": {"eval_path": None}, "evaluation": {"benchmarks": named}}))
    assert flatten(config)["evaluation.benchmarks"] == "a,b"
    assert validate({"evaluation": {"ks": [1, 16], "benchmarks": named}}).evaluation.n_samples == 8


def test_settings_that_are_switched_off_are_not_checked():
    assert validate({"training": {"enabled": False, "algorithm": "ppo", "backend": "openrlhf"}}).training.backend
    assert validate({"evaluation": {"enabled": False, "ks": [100]}}).evaluation.ks == (100,)


def test_a_run_file_of_zenml_holds_our_sections_under_parameters(tmp_path):
    path = write(
        tmp_path, "enable_cache: false\nsettings: {docker: {}}\nparameters:\n  seed: 3\n  plan: {strategy: vanilla}\n"
    )
    config = load_config(path)
    assert (config.seed, config.plan.strategy.name, config.plan.prompts_per_step) == (3, "vanilla", 32)


def test_overrides_win_over_the_file(tmp_path):
    path = write(tmp_path, "parameters:\n  plan: {n_steps: 5, prompts_per_step: 4}\n")
    config = load_config(str(path), {"plan.n_steps": 7, "training": {"seed": 2}, "seed": 1})
    assert (config.plan.n_steps, config.plan.prompts_per_step, config.training.seed, config.seed) == (7, 4, 2, 1)


@pytest.mark.parametrize("text", ["", "enable_cache: true\n", "parameters:\n"])
def test_a_file_without_parameters_is_the_default(tmp_path, text):
    assert load_config(write(tmp_path, text)) == RunConfig()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plan: {strategy: vanilla}\n", "'plan' stands at the top level of .*move it under the key 'parameters'"),
        ("parameter: {}\n", "'parameter' stands at the top level of .*did you mean 'parameters'"),
        ("parameters: [1]\n", r"'parameters' of .* is \[1\]; it must hold sections"),
        ("- 1\n", r"holds \[1\]; it must hold keys"),
        ("parameters: {plan: {n_steps: 5\n", "is not valid YAML: .*line 2"),
        ("parameters:\n  plan: {n_stepz: 5}\n", "plan.n_stepz is not a setting; did you mean plan.n_steps"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, text, expected):
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_absent_or_not_text_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml cannot be read \(No such file or directory\)"):
        load_config(tmp_path / "nothing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        load_config(tmp_path / "binary.yaml")
