"""OpenRLHF's own parser and validation on what we send: every config of the repository, every algorithm, every flag."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from saerl_core.config.load import load_config, validate
from saerl_core.config.openrlhf_flags import FREE, OWNED, REFUSED
from saerl_core.seeds import stage_seed
from saerl_core.training.openrlhf.algorithms import SPELLINGS
from saerl_core.training.openrlhf.command import openrlhf_flags, preview_command
from tests.training.openrlhf.test_command import make_job, training

pytestmark = pytest.mark.openrlhf

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = {path.name: load_config(path) for path in sorted((ROOT / "configs").glob("*.yaml"))}
PLANNED = {name: config for name, config in CONFIGS.items() if config.training.backend == "openrlhf"}
SMALL = make_job(training(kl_coef=0.001, eval_every_steps=5), resume=True, has_eval=True)
WRONG = {
    "a flag of another version": ["--algo.advantage.is_correction_enable"],
    "an old name": ["--rollout_batch_size", "32"],
    "a value of the wrong type": ["--rollout.batch_size", "many"],
    "an estimator that is none": ["--algo.advantage.estimator", "grpo"],
    "one rollout for a group": ["--rollout.n_samples_per_prompt", "1"],
    "fewer micro-batches than GPUs": ["--rollout.micro_batch_size", "256", "--actor.num_gpus_per_node", "8"],
}


def small(algorithm):
    settings = {"overlong_buffer_tokens": 8, "overlong_penalty": 0.5} if algorithm == "dapo" else {}
    return replace(SMALL, config=validate(training(algorithm, settings, kl_coef=0.001, eval_every_steps=5)).training)


def openrlhfs_own(command):
    """What OpenRLHF gets: behind the last separator, for a Ray job's submission has one of its own."""
    return command[len(command) - command[::-1].index("--") :]


def free_flags():
    """Every flag that a person may add, with values that its type takes."""
    values = {
        "--algo.advantage.is_correction_gating": ["ratio"],
        "--algo.advantage.is_correction_level": ["token"],
        "--algo.advantage.is_correction_mode": ["clip"],
        "--algo.advantage.is_correction_threshold": ["0.5", "5"],
        "--actor.optim": ["muon"],
        "--critic.optim": ["adam"],
        "--ds.experts_implementation": ["eager"],
        "--ds.param_dtype": ["fp16"],
    }
    return [part for flag, n in FREE.items() for part in (flag, *values.get(flag, ["1"] * (n or 0)))]


@pytest.fixture(scope="module")
def answers(openrlhf_python):
    """What the parser says to every command of this module; one process."""
    jobs = {name: openrlhfs_own(preview_command(config)) for name, config in PLANNED.items()}
    jobs |= {algorithm: openrlhf_flags(small(algorithm)) for algorithm in SPELLINGS}
    jobs |= {name: [*openrlhf_flags(SMALL), *flags] for name, flags in WRONG.items()}
    jobs["free"] = [*openrlhf_flags(SMALL), *free_flags()]
    done = subprocess.run(
        [str(openrlhf_python), str(ROOT / "tests/openrlhf_cpu/parse_flags.py")],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def accepted(answers, name):
    answer = answers["parsed"][name]
    assert "error" not in answer, answer
    return answer["args"]


def test_every_flag_of_the_parser_stands_in_our_tables_with_its_number_of_values(answers):
    upstream = answers["options"]
    assert set(upstream) == {*FREE, *OWNED, *REFUSED}
    counts = {flag: {None: 1, "+": None}.get(upstream[flag], upstream[flag]) for flag in FREE}
    assert counts == FREE


def test_the_repository_has_configs_for_openrlhf():
    assert {"grpo_qwen2.5_math_1.5b.yaml", "grpo_1gpu.yaml"} <= set(PLANNED)
    assert {"ppo_qwen2.5_math_1.5b.yaml", "dapo_qwen2.5_math_7b.yaml"} <= set(PLANNED)


@pytest.mark.parametrize("name", PLANNED)
def test_the_command_of_a_config_is_accepted_and_says_what_the_config_says(answers, name):
    args, config = accepted(answers, name), PLANNED[name]
    t, plan = config.training, config.plan
    assert args["actor.model_name_or_path"] == (config.policy.model or "<policy of prepare_policy, source task_world>")
    assert args["rollout.batch_size"] == args["rollout.vllm_generate_batch_size"] == plan.prompts_per_step
    assert args["rollout.n_samples_per_prompt"] == t.group_size
    assert args["train.batch_size"] == plan.prompts_per_step * t.group_size
    assert args["train.micro_batch_size"] == t.openrlhf.train_micro_batch
    assert args["rollout.micro_batch_size"] == t.openrlhf.rollout_micro_batch
    assert args["actor.adam.lr"] == t.lr
    assert args["data.max_len"] == t.openrlhf.max_prompt_tokens + t.max_completion_tokens <= 4096
    assert args["rollout.max_new_tokens"] == t.max_completion_tokens
    assert args["rollout.temperature"] == t.temperature
    n_gpus = t.openrlhf.n_nodes * t.openrlhf.gpus_per_node
    assert args["actor.num_nodes"] * args["actor.num_gpus_per_node"] == n_gpus
    assert args["vllm.num_engines"] * args["vllm.tensor_parallel_size"] == n_gpus
    assert args["ds.zero_stage"] == t.openrlhf.zero_stage
    assert args["algo.kl.init_coef"] == t.kl_coef
    assert args["train.seed"] == stage_seed(config.seed, "training")
    assert (
        args["train.colocate_all"] is args["vllm.enable_sleep"] is t.openrlhf.colocate is (name != "openrlhf_cpu.yaml")
    )
    assert args["vllm.enforce_eager"] is ("--vllm.enforce_eager" in t.openrlhf.extra_args)
    work = Path(args["ckpt.path"]).parent
    assert args["data.prompt_dataset"] == str(work / "prompts.jsonl")
    assert args["reward.remote_url"] == [str(work / "reward.py")]  # OpenRLHF splits it at commas
    assert args["ckpt.output_dir"] == str(work / "final")
    assert args["ckpt.save_steps"] == t.save_every_steps


ESTIMATORS = {  # estimator, aggregation, loss, upper clip, KL in the loss, critic
    "grpo": ("group_norm", "seq-mean-token-mean", "ppo", 0.2, True, None),
    "dr_grpo": ("dr_grpo", "token-mean", "ppo", 0.2, True, None),
    "dapo": ("group_norm", "token-mean", "ppo", 0.28, True, None),
    "rloo": ("rloo", "token-mean", "ppo", 0.2, True, None),
    "reinforce++": ("reinforce", "token-mean", "ppo", 0.2, False, None),
    "reinforce++-baseline": ("reinforce_baseline", "token-mean", "ppo", 0.2, True, None),
    "gspo": ("group_norm", "seq-mean-token-mean", "gspo", 0.2, True, None),
    "ppo": ("gae", "token-mean", "ppo", 0.2, False, "/models/policy"),
}


@pytest.mark.parametrize("algorithm", SPELLINGS)
def test_an_algorithm_is_accepted_and_is_what_its_name_says(answers, algorithm):
    args = accepted(answers, algorithm)
    estimator, aggregation, loss, clip_high, kl_in_loss, critic = ESTIMATORS[algorithm]
    assert args["algo.advantage.estimator"] == estimator
    assert args["actor.loss_agg_mode"] == aggregation
    assert args["actor.policy_loss_type"] == loss
    assert args["actor.eps_clip_low_high"] == [0.2, clip_high]
    assert args["algo.kl.init_coef"] == 0.001
    assert args["algo.kl.use_loss"] is args["algo.kl.unbiased_gradient"] is kl_in_loss
    assert args["algo.kl.estimator"] == ("k3" if kl_in_loss else "k1")
    assert args["critic.model_name_or_path"] == critic
    assert args["reward.overlong_buffer_len"] == (8.0 if algorithm == "dapo" else None)
    assert "Recommend" not in answers["parsed"][algorithm]["said"]
    assert "Warning" not in answers["parsed"][algorithm]["said"]


def test_what_would_break_the_plan_is_off_in_what_is_parsed(answers):
    args = accepted(answers, "grpo")
    assert (args["train.num_episodes"], args["train.max_epochs"]) == (1, 1)
    assert not args["algo.dynamic_filtering_enable"]
    assert not args["train.async_enable"]
    assert not args["data.apply_chat_template"]
    assert args["data.prompt_probs"] is args["train.agent_func_path"] is None
    assert args["data.max_samples"] == 100_000_000
    assert args["critic.freezing_steps"] == -1
    assert args["ckpt.best_metric_key"] == "none"
    assert args["ckpt.load_enable"]
    assert args["actor.entropy_coef"] == 0
    assert (args["data.input_key"], args["data.label_key"]) == ("prompt", "label")
    assert (args["eval.steps"], args["eval.n_samples_per_prompt"], args["eval.temperature"]) == (5, 4, 1.0)


def test_every_flag_that_a_person_may_add_is_accepted(answers):
    args = accepted(answers, "free")
    assert args["ds.param_dtype"] == "fp16"
    assert args["rollout.batch_size"] == 32


@pytest.mark.parametrize("name", WRONG)
def test_the_parser_refuses_what_is_wrong(answers, name):
    assert "error" in answers["parsed"][name]
