"""Combinations of settings that cannot work, refused before any work starts.

Each check yields one sentence a problem: the fields with their values, why they cannot work, the way out.
"""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from saerl_core.config.checks_evaluation import evaluation_problems
from saerl_core.config.checks_export import export_problems
from saerl_core.config.checks_rollouts import rollout_problems
from saerl_core.config.checks_shards import shard_problems
from saerl_core.config.checks_training import training_problems

if TYPE_CHECKING:
    from saerl_core.config.run import GradingConfig, RunConfig


def check_combinations(config: "RunConfig") -> None:
    """Raise ValueError with one line a problem, each naming the fields, their values and the way out."""
    problems = [problem for check in _CHECKS for problem in check(config)]
    if problems:
        raise ValueError("\n".join(problems))


def _prompts(config: "RunConfig") -> Iterator[str]:
    prompts = config.prompts
    if prompts.source == "file" and prompts.path is None:
        yield "prompts.source is 'file', but prompts.path is not set; name a JSONL, parquet or CSV file"
    if prompts.source == "hub" and prompts.dataset is None:
        yield "prompts.source is 'hub', but prompts.dataset is not set; name a Hugging Face dataset"
    for source, field, value in (("file", "path", prompts.path), ("hub", "dataset", prompts.dataset)):
        if value is not None and prompts.source != source:
            yield (
                f"prompts.{field} is '{value}', but prompts.source '{prompts.source}' does not read it; "
                f"set prompts.source to '{source}' or remove prompts.{field}"
            )
    if prompts.world is not None and prompts.eval_path is not None:
        yield (
            f"prompts.eval_path is '{prompts.eval_path}', but prompts.source '{prompts.source}' brings its own "
            "held-out split; remove prompts.eval_path or set prompts.source to 'file'"
        )
    for name, world in (("task_world", prompts.task_world), ("everyday", prompts.everyday)):
        weights = world.level_weights
        if min(weights) < 0 or sum(weights) == 0:
            yield (
                f"prompts.{name}.level_weights are {list(weights)}, but they are shares; "
                "none may be below 0 and one must be above 0"
            )


def _policy(config: "RunConfig") -> Iterator[str]:
    policy = config.policy
    if policy.source == "pretrained" and policy.model is None:
        yield "policy.source is 'pretrained', but policy.model is not set; name a local folder or a Hub model"
    if policy.source != "pretrained" and policy.model is not None:
        yield (
            f"policy.model is '{policy.model}', but policy.source '{policy.source}' trains its own model; "
            "set policy.source to 'pretrained' or remove policy.model"
        )
    if policy.chat_template and policy.source != "pretrained":
        yield (
            f"policy.chat_template is true, but policy.source '{policy.source}' trains a model without a template; "
            "set policy.source to 'pretrained' or policy.chat_template to false"
        )
    if policy.system_prompt is not None and not policy.chat_template:
        yield (
            "policy.system_prompt is set, but policy.chat_template is false and only a template has a place for it; "
            "set policy.chat_template to true or remove policy.system_prompt"
        )
    if policy.source == "task_world" and config.prompts.source != "task_world":
        yield (
            f"policy.source is 'task_world', but prompts.source is '{config.prompts.source}': the built-in policy "
            "reads the task world only; set policy.source to 'pretrained', or to 'text' for curation without training"
        )
    if policy.source != "pretrained" and policy.hidden_size % (2 * policy.n_heads):
        yield (
            f"policy.hidden_size is {policy.hidden_size}, but rotary heads need a multiple of 2 * policy.n_heads = "
            f"{2 * policy.n_heads}; set it to {_next_multiple(policy.hidden_size, 2 * policy.n_heads)}"
        )


def _text_policy(config: "RunConfig") -> Iterator[str]:
    if config.policy.source != "text":
        return
    if config.difficulty.label == "pass_rate":
        yield (
            "difficulty.label is 'pass_rate', but policy.source 'text' reads prompts and cannot answer them; "
            "set difficulty.label to 'auto', which takes what the data bring, else the policy's likelihood"
        )
    for name, enabled in (("training", config.training.enabled), ("evaluation", config.evaluation.enabled)):
        if enabled:
            yield (
                f"{name}.enabled is true, but policy.source 'text' cannot answer prompts; "
                f"set {name}.enabled to false or policy.source to 'pretrained'"
            )


def _sae(config: "RunConfig") -> Iterator[str]:
    sae, policy = config.sae, config.policy
    if sae.source == "load" and sae.path is None:
        yield "sae.source is 'load', but sae.path is not set; name a local sae-lens folder or a public release"
    for field, value in (("path", sae.path), ("sae_id", sae.sae_id)):
        if sae.source == "train" and value is not None:
            yield (
                f"sae.{field} is '{value}', but sae.source 'train' loads nothing; "
                f"set sae.source to 'load' or remove sae.{field}"
            )
    if sae.source == "load" or sae.model is not None or policy.source == "pretrained":
        return  # the sizes are those of a model that is not known yet; obtain_sae checks them
    d_sae = sae.expansion * policy.hidden_size
    if sae.k >= d_sae:
        yield (
            f"sae.k is {sae.k}, but the SAE has only sae.expansion * policy.hidden_size = {d_sae} latents; "
            f"set sae.k below {d_sae} or raise sae.expansion"
        )
    if sae.hook_layer is not None and sae.hook_layer >= policy.n_layers:
        yield (
            f"sae.hook_layer is {sae.hook_layer}, but the policy has policy.n_layers = {policy.n_layers} blocks, "
            f"counted from 0; set it to at most {policy.n_layers - 1}"
        )


def _labels(config: "RunConfig") -> Iterator[str]:
    columns, built_in, label = config.prompts.columns, config.prompts.world is not None, config.difficulty.label
    if config.quality.labels == "column" and (built_in or columns.quality is None):
        yield (
            "quality.labels is 'column', but the prompts have no such column; read a file or a Hub dataset and name "
            "the column in prompts.columns.quality, or set quality.labels to 'corruptions'"
        )
    if label == "known_pass_rate" and (built_in or columns.pass_rate is None):
        yield (
            "difficulty.label is 'known_pass_rate', but the prompts have no such column; read a file or a Hub dataset "
            "and name the column in prompts.columns.pass_rate, or set difficulty.label to 'auto'"
        )
    if label == "level" and not built_in and columns.level is None:
        yield (
            "difficulty.label is 'level', but prompts.columns.level is not set; name the column, or set "
            "difficulty.label to 'auto'"
        )
    section = "pass_rates" if config.may_measure else "difficulty"
    n_labelled = config.pass_rates.n_labelled if config.may_measure else config.difficulty.n_labelled
    if n_labelled < config.difficulty.folds and label not in ("likelihood", "none"):
        yield (
            f"{section}.n_labelled is {n_labelled}, fewer than difficulty.folds = {config.difficulty.folds}; "
            "label more prompts or use fewer folds"
        )
    if config.quality.labels == "corruptions" and config.quality.n_corruptions < config.quality.folds:
        yield (
            f"quality.n_corruptions is {config.quality.n_corruptions}, fewer than quality.folds = "
            f"{config.quality.folds}; make more corruptions or use fewer folds"
        )


def _plan(config: "RunConfig") -> Iterator[str]:
    plan = config.plan
    yield from plan.strategy.problems()
    n_pool = config.prompts.max_rows
    bound = "prompts.max_rows"
    if config.prompts.world is not None:
        n_pool, bound = config.prompts.world.n_train, f"prompts.{config.prompts.source}.n_train"
    if n_pool is not None and plan.prompts_per_step > n_pool:
        yield (
            f"plan.prompts_per_step is {plan.prompts_per_step}, more than the pool of {bound} = {n_pool}; "
            "lower it or give more prompts"
        )


def _lengths(config: "RunConfig") -> Iterator[str]:
    """Yield what no default can know: how long the answers of a model are that we did not make."""
    if config.policy.source != "pretrained" or config.prompts.source == "task_world":
        return
    used = (
        ("pass_rates", config.pass_rates, config.may_measure),
        ("training", config.training, config.training.enabled),
        ("evaluation", config.evaluation, config.evaluation.enabled),
    )
    for name, section, is_used in used:
        if is_used and "max_completion_tokens" not in section.model_fields_set:
            yield (
                f"{name}.max_completion_tokens is not set, and its default of {section.max_completion_tokens} tokens "
                "fits the built-in task world only; set it to the length that an answer of your model needs, for "
                "example 1024 for worked solutions"
            )


def _control(config: "RunConfig") -> Iterator[str]:
    for section in ("training", "evaluation"):
        if config.control == "vanilla" and not getattr(config, section).enabled:
            yield (
                f"control is 'vanilla', but {section}.enabled is false: there is nothing to compare; set control to "
                f"'none' or {section}.enabled to true"
            )


def _grading(config: "RunConfig") -> Iterator[str]:
    answers = config.may_measure or config.training.enabled or config.evaluation.enabled
    # A trained policy of the task world may come back as a folder, but then the prompts are the task world's too.
    foreign = config.policy.source == "pretrained" and config.prompts.source != "task_world"
    if answers and config.grading.kind == "task_world" and foreign:
        yield (
            "grading.kind is 'task_world', which reads the answer after '#', but policy.source is 'pretrained' and "
            f"prompts.source is '{config.prompts.source}'; set grading.kind to 'math' or 'exact'"
        )
    yield from _reward_function(config.grading)


def _reward_function(grading: "GradingConfig") -> Iterator[str]:
    if grading.kind != "python":
        default = type(grading)()
        for name in ("function", "correct_from", "code"):
            if getattr(grading, name) != getattr(default, name):
                yield (
                    f"grading.{name} is '{getattr(grading, name)}', but grading.kind '{grading.kind}' does not read "
                    f"it; set grading.kind to 'python' or remove grading.{name}"
                )
    elif grading.function is None:
        yield "grading.kind is 'python', but grading.function is not set; name it as package.module:function"
    elif not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", grading.function):
        yield (
            f"grading.function is '{grading.function}', which names no function; write package.module:function, for "
            "example my_rewards:grade for `grade` in my_rewards.py"
        )


def _next_multiple(value: int, of: int) -> int:
    return -(-value // of) * of


_CHECKS: tuple[Callable[["RunConfig"], Iterator[str]], ...] = (
    _prompts,
    _policy,
    _text_policy,
    _sae,
    _labels,
    _plan,
    _lengths,
    training_problems,
    export_problems,
    _control,
    evaluation_problems,
    _grading,
    rollout_problems,
    shard_problems,
)
