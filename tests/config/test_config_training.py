"""Training settings that cannot work, would break the plan, or would be ignored are refused with the way out."""

import pytest

from saerl_core.config.load import flatten, load_config, validate
from saerl_core.config.openrlhf_flags import FREE, OWNED, REFUSED, extra_args_problems
from saerl_core.config.openrlhf_layout import gpu_layout
from saerl_core.errors import ConfigError

ONE_GPU = {"python": "/env/bin/python", "gpus_per_node": 1}


def openrlhf(training=None, **settings):
    return {"training": {"backend": "openrlhf", **(training or {}), "openrlhf": {**ONE_GPU, **settings}}}


def problems(parameters):
    with pytest.raises(ConfigError) as caught:
        validate(parameters)
    return str(caught.value)


def test_the_base_of_these_tests_works():
    assert validate(openrlhf()).training.backend == "openrlhf"


@pytest.mark.parametrize(
    ("parameters", "what", "why", "way_out"),
    [
        ({"training": {"clip_high": 0.1}}, "training.clip_high is 0.1", "below", "raise training.clip_high"),
        # what only OpenRLHF can do
        ({"training": {"algorithm": "ppo"}}, "'ppo'", "needs a critic", "set training.backend to 'openrlhf'"),
        (
            {"training": {"algorithm": "gspo"}},
            "'gspo'",
            "one probability ratio for a whole",
            "grpo, dr_grpo, dapo, rloo",
        ),
        ({"training": {"algorithm": "reinforce++"}}, "'reinforce++'", "the KL in the reward", "'openrlhf'"),
        ({"training": {"algorithm": "reinforce++-baseline"}}, "'reinforce++-baseline'", "whole batch", "'openrlhf'"),
        (
            {"training": {"openrlhf": {"python": "/p", "zero_stage": 3}}},
            "training.openrlhf sets python, zero_stage",
            "'embedded' does not read",
            "set training.backend to 'openrlhf' or remove the section",
        ),
        # the environment
        (openrlhf(python=None), "neither", "environment of its own", "name its Python interpreter or an image"),
        (openrlhf(image="team/trainer:1"), "'/env/bin/python'", "'team/trainer:1'", "remove one"),
        (
            openrlhf(python=None, image="team/trainer:1", launch="ray_job"),
            "'team/trainer:1'",
            "the cluster's own nodes",
            "name its interpreter in training.openrlhf.python",
        ),
        (openrlhf(ray_address="http://head:8265"), "'http://head:8265'", "is 'process'", "to 'ray_job'"),
        (openrlhf(env={"A=B": "1"}), "'A=B'", "no environment can hold", "correct the name"),
        (openrlhf(env={"": "1"}), "''", "no environment can hold", "correct the name"),
        # settings of the other backend
        (openrlhf({"micro_batch_rollouts": 4}), "rollouts is 4", "does not read it", "train_micro_batch"),
        (openrlhf({"device": "cuda"}), "training.device is 'cuda'", "GPUs that Ray has", "remove training.device"),
        (
            openrlhf({"eval_every_steps": 5}) | {"prompts": {"task_world": {"n_dev": 0}}},
            "eval_every_steps is 5",
            "no dev split",
            "raise prompts.task_world.n_dev",
        ),
        # GPUs and engines
        (openrlhf(vllm_engines=2), "is 2 x 1", "fill the actor's GPUs exactly", "colocate to false"),
        (
            openrlhf(gpus_per_node=4, vllm_engines=4, vllm_tensor_parallel=2),
            "is 4 x 2",
            "n_nodes x gpus_per_node = 4",
            "leave out training.openrlhf.vllm_engines",
        ),
        (openrlhf(vllm_tensor_parallel=2), "vllm_tensor_parallel is 2", "does not divide", "choose a divisor"),
        (openrlhf(attention="eager"), "attention 'eager'", "silently", "packing to false"),
        # sizes
        (
            openrlhf(train_micro_batch=3),
            "32 x 4 = 128 rollouts, no multiple of training.openrlhf.train_micro_batch = 3 on 1 GPU:",
            "leak into the next batch",
            "to a divisor of 128",
        ),
        (
            openrlhf(gpus_per_node=8, rollout_micro_batch=64),
            "training.openrlhf.rollout_micro_batch = 64 on 8 GPUs",
            "leak into the next batch",
            "to a divisor of 16",
        ),
        (
            openrlhf({"group_size": 7}, gpus_per_node=5, train_micro_batch=1, rollout_micro_batch=7),
            "32 x 7 = 224 rollouts",
            "no multiple of the 5 GPUs",
            "a multiple of 5",
        ),
        # algorithms
        (openrlhf(critic_lr=1e-5, gae_lambda=0.9), "critic_lr, gae_lambda", "has no critic", "to 'ppo'"),
        (openrlhf(overlong_penalty=0.5), "is 0.5", "nothing is penalised", "set training.openrlhf.overlong_buffer"),
        (openrlhf(overlong_buffer_tokens=8), "is 8", "belongs to 'dapo'", "training.algorithm to 'dapo'"),
        (
            openrlhf({"algorithm": "dapo"}, overlong_buffer_tokens=25),
            "overlong_buffer_tokens is 25",
            "training.max_completion_tokens = 24",
            "lower it",
        ),
        # further flags
        (
            openrlhf(extra_args=["--train.async_enable"]),
            "extra_args holds --train.async_enable",
            "off-policy",
            "remove it",
        ),
    ],
)
def test_one_impossible_combination_is_one_line(parameters, what, why, way_out):
    told = problems(parameters)
    assert "\n" not in told
    assert what in told
    assert why in told
    assert way_out in told


def test_both_sizes_are_told():
    assert problems(openrlhf(train_micro_batch=3, rollout_micro_batch=5)).startswith(
        "the configuration has 2 problems:"
    )


@pytest.mark.parametrize(
    "parameters",
    [
        openrlhf({"algorithm": "ppo"}, critic_lr=1e-5, gae_lambda=0.95),
        openrlhf({"algorithm": "dapo"}, overlong_buffer_tokens=24, overlong_penalty=0.5),
        openrlhf(colocate=False, vllm_engines=3, vllm_tensor_parallel=2),
        openrlhf(colocate=False, attention="eager", packing=False),
        openrlhf(gpus_per_node=8, vllm_tensor_parallel=2, train_micro_batch=16, rollout_micro_batch=16),
        openrlhf(python=None, image="team/trainer:1"),
        openrlhf(launch="ray_job", ray_address="http://head:8265", env={"NCCL_DEBUG": "INFO"}),
        openrlhf({"eval_every_steps": 5}),
        {"training": {"enabled": False, "backend": "openrlhf", "algorithm": "ppo"}},
    ],
)
def test_what_can_work_is_accepted(parameters):
    assert validate(parameters).training


@pytest.mark.parametrize(
    ("extra_args", "told"),
    [
        # each of these would break the plan
        (["--algo.dynamic_filtering_enable"], "replaces a prompt by one of the next planned batch"),
        (["--algo.dynamic_filtering_range", "0", "1"], "shifts every batch after it"),
        (["--train.async_enable"], "before the rewards of the last one are known"),
        (["--train.partial_rollout_enable"], "off-policy"),
        (["--rollout.vllm_generate_batch_size", "64"], "another number of prompts would be sampled"),
        (["--data.prompt_probs", "0.5,0.5"], "a random order with repeated prompts"),
        (["--train.num_episodes", "2"], "lengthen it with plan.n_steps"),
        (["--train.max_epochs", "2"], "one batch of the plan is one optimizer step"),
        (["--data.max_samples", "100"], "use prompts.max_rows"),
        (["--train.agent_func_path", "agent.py"], "the audit of the order"),
        (["--data.prompt_dataset", "other.jsonl"], "the driver writes the file of the prompts"),
        (["--data.apply_chat_template"], "already rendered"),
        (["--reward.remote_url", "http://reward"], "the one grader"),
        (["--critic.freezing_steps", "5"], "train the critic only"),
        (["--ckpt.disable_ds"], "no run can be resumed"),
        (["--ds.lora.rank", "8"], "evaluation loads a whole model"),
        (["--logger.wandb.key", "secret"], "can be read by everybody"),
        # settings of ours
        (["--rollout.batch_size", "16"], "use plan.prompts_per_step"),
        (["--actor.adam.lr", "1e-6"], "use training.lr"),
        (["--vllm.gpu_memory_utilization=0.5"], "use training.openrlhf.vllm_memory_frac"),
        # argparse completes what is shortened
        (["--train.async_e"], "would complete to --train.async_enable; write the flag in full"),
        (["--data.max_s", "5"], "would complete to --data.max_samples"),
        (["--algo"], "would complete to --algo.advantage.estimator"),
        (["--"], "write the flag in full"),
        (["-h"], "would print its help"),
        # misspelt, of another version, or not a flag
        (["--ds.overlap_com_", "1"], "does not have; did you mean --ds.overlap_comm?"),
        (["--algo.advantage.is_correction_enable"], "0.11.2 does not have"),
        (["--zzz"], "see `python -m openrlhf.cli.train_ppo_ray --help`"),
        (["--ds.zpg 8"], "0.11.2 does not have; did you mean --ds.zpg?"),
        (["8", "--ds.zpg", "8"], "holds '8' where a flag is expected"),
        # numbers of values
        (["--ds.zpg"], "with 0 values, but it takes 1 value;"),
        (["--ds.overlap_comm", "true"], "with 1 value, but it takes 0 values"),
        (["--actor.adam.betas", "0.9"], "with 1 value, but it takes 2 values"),
        (["--algo.advantage.is_correction_threshold"], "but it takes at least 1 value"),
    ],
)
def test_a_flag_that_is_not_ours_to_pass_on_is_refused(extra_args, told):
    (problem,) = extra_args_problems(extra_args)
    assert "training.openrlhf.extra_args holds" in problem
    assert told in problem


def test_every_wrong_flag_is_told():
    assert len(list(extra_args_problems(["--train.async_enable", "--ds.zpg", "8", "--use_ms"]))) == 2


@pytest.mark.parametrize(
    "extra_args",
    [
        [],
        ["--vllm.enforce_eager", "--ds.zpg", "8", "--actor.adam.betas", "0.9", "0.99"],
        ["--actor.entropy_coef=0.001"],
        ["--reward.stop_properly_penalty_coef", "-0.5", "--reward.clip_range", "-1", "1"],
        ["--algo.advantage.is_correction_threshold", "0.5", "5"],
    ],
)
def test_a_flag_that_leaves_the_plan_alone_is_passed_on(extra_args):
    assert list(extra_args_problems(extra_args)) == []


def test_a_flag_stands_in_one_table():
    assert len({*FREE, *OWNED, *REFUSED}) == len(FREE) + len(OWNED) + len(REFUSED)


@pytest.mark.parametrize(
    ("parameters", "total"),
    [
        (openrlhf(gpus_per_node=8, n_nodes=2), 16),
        (openrlhf(colocate=False), 2),  # actor, engine
        (openrlhf({"kl_coef": 0.001}, colocate=False), 3),  # and the reference
        (openrlhf({"kl_coef": 0.001, "algorithm": "ppo"}, colocate=False), 4),  # and the critic
        (openrlhf({"kl_coef": 0.001}, gpus_per_node=4, colocate=False, vllm_tensor_parallel=2), 12),
        (openrlhf(gpus_per_node=4, colocate=False, vllm_engines=1, vllm_tensor_parallel=2), 6),
    ],
)
def test_gpus_that_ray_must_have(parameters, total):
    assert gpu_layout(validate(parameters).training).total == total


def test_of_environment_variables_the_names_are_logged():
    flat = flatten(validate(openrlhf(env={"TOKENIZERS_PARALLELISM": "true"}, env_from=["HF_TOKEN", "WANDB_API_KEY"])))
    assert flat["training.openrlhf.env"] == "TOKENIZERS_PARALLELISM"
    assert flat["training.openrlhf.env_from"] == "HF_TOKEN,WANDB_API_KEY"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"env": {"HF_TOKEN": "hidden1"}}, "env sets HF_TOKEN, whose name says that its value is a secret"),
        ({"env": {"WANDB_APIKEY": "hidden1"}}, "list the name in training.openrlhf.env_from"),
        ({"env": {"aws_secret_access": "hidden1"}}, "env sets aws_secret_access"),
        ({"env": {"DB_PASSWORD": "hidden1"}}, "set the variable where training runs"),
        ({"env": {"HTTPS_PROXY": "http://me:hidden1@proxy:3128"}}, "HTTPS_PROXY to an address with a password"),
        ({"env": {"NCCL_DEBUG": ["hidden1"]}}, "env.NCCL_DEBUG = (not shown) has the wrong type"),
        ({"env": "HF_TOKEN=hidden1"}, "env = (not shown) has the wrong type"),
        ({"env_from": ["HF_TOKEN=hidden1"]}, "lists something that is no variable's name"),
        ({"env_from": {"HF_TOKEN": "hidden1"}}, "env_from = (not shown) has the wrong type"),
        ({"env": {"A": "hidden1"}, "env_from": ["A"]}, "env_from lists A, which training.openrlhf.env sets too"),
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_a_secret_in_the_configuration_is_refused_and_not_repeated(settings, told, enabled):
    message = problems(openrlhf({"enabled": enabled}, **settings))
    assert told in message
    assert "hidden1" not in message


def test_a_file_that_is_no_yaml_is_not_quoted(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("parameters:\n  training: {openrlhf: {env: {HF_TOKEN: hidden1}\n")
    with pytest.raises(ConfigError, match="is not valid YAML: line 3, column 1: expected ',' or '}'") as caught:
        load_config(file)
    assert "hidden1" not in str(caught.value)


@pytest.mark.parametrize("every", [None, 1, 5])
@pytest.mark.parametrize("backend", ["embedded", "openrlhf"])
def test_both_backends_score_the_dev_split_while_training(backend, every):
    parameters = (
        openrlhf({"eval_every_steps": every}) if backend == "openrlhf" else {"training": {"eval_every_steps": every}}
    )
    assert validate(parameters).training.eval_every_steps == every


def test_openrlhf_screens_whole_groups_only():
    assert validate(openrlhf({"screen": "dynamic"})).training.screen == "dynamic"
    assert "'openrlhf' samples the groups of a prompt as a whole; set training.screen" in problems(
        openrlhf({"screen": "pilot"})
    )
