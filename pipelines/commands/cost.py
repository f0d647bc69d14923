"""What a run will cost, measured with ten prompts on the machine at hand."""

import tempfile
from dataclasses import replace
from pathlib import Path

from saerl_core.advice.cost import planned_costs
from saerl_core.advice.cost_words import costs_in_words, expected
from saerl_core.advice.said import Said, keep
from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError
from saerl_core.policy.loading import load_tokenizer
from saerl_core.policy.prepare import prepare_policy
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.prompts.benchmarks import load_benchmarks
from saerl_core.prompts.load import load_prompts
from saerl_core.records import BenchmarksReport, PolicyRef, PromptSet
from saerl_core.rollouts.engines import Sampling
from saerl_core.rollouts.same_answers import same_answers
from saerl_core.rollouts.throughput import measure_throughput

_PROMPTS = 10
_MOST_SAMPLES = 16  # a prompt: a slow model is measured in minutes, not in hours


def said_beforehand(config: RunConfig, per_hour: float | None) -> str:
    """Return the table of what the run will sample, with time and price at the speed of this machine.

    It is kept for the page of a run of the same configuration, which sets what came out beside it.

    Raises:
        ConfigError: the price is no number of at least 0; a model or file is missing.
        DataError: prompts or benchmarks cannot be read.
    """
    if per_hour is not None and not 0 <= per_hour < float("inf"):
        raise ConfigError(f"the price per hour is {per_hour:g}; give a number of at least 0, for this machine")
    found = load_prompts(config.prompts, config.seed, same_answers)
    held_out = found.dev if config.evaluation.split == "dev" else found.test
    rows = planned_costs(config, found.train, held_out, _benchmarks(config))
    if not rows:
        return "The run samples nothing: no labels, no training, no evaluation."
    pool = found.train[found.train["usable"].astype(bool)]
    prompts = [str(p) for p in pool["prompt"].sample(min(_PROMPTS, len(pool)), random_state=config.seed)]
    with tempfile.TemporaryDirectory() as folder:
        policy, is_stand_in = _policy(config, found, Path(folder))
        training = config.training
        how = Sampling(training.temperature, max(row.max_completion_tokens for row in rows), config.seed)
        is_here = training.enabled and training.backend == "embedded"
        speed = measure_throughput(
            policy, prompts, _samples(config, len(prompts)), how, config.rollouts, with_updates=is_here
        )
        if is_stand_in:  # when it stops says nothing of the policy to come
            speed = replace(speed, mean_tokens=float(how.max_completion_tokens), cut_frac=1.0)
        read = prompt_tokens(load_tokenizer(policy), prompts, policy.prompt_format)
    prompt_length = sum(map(len, read)) / len(read)
    keep(config, Said({row.stage: expected(row, speed, prompt_length).seconds for row in rows}, per_hour))
    text = costs_in_words(rows, speed, prompt_length, per_hour)
    return "\n".join([text, *_remarks(config, is_stand_in, speed.engine)])


def _samples(config: RunConfig, n_prompts: int) -> int:
    """Return completions a prompt: as many as make a batch of the training, within bounds: speed depends on it."""
    group = config.training.group_size
    return max(group, min(_MOST_SAMPLES, config.plan.prompts_per_step * group // n_prompts))


def _benchmarks(config: RunConfig) -> BenchmarksReport | None:
    asked = config.evaluation.benchmarks
    if not asked or not config.evaluation.enabled:
        return None
    return load_benchmarks(asked, config.prompts.max_prompt_chars, same_answers).report


def _policy(config: RunConfig, found: PromptSet, folder: Path) -> tuple[PolicyRef, bool]:
    """Return the policy, or an untrained one of its size where the run will make it: it is as fast, and never stops."""
    if config.policy.source == "pretrained":
        return prepare_policy(config.policy, found.train, folder, config.seed)[0], False
    untrained = config.policy.model_copy(update={"pretrain_steps": 1, "sloppy_steps": 0})
    return prepare_policy(untrained, found.train, folder, config.seed)[0], True


def _remarks(config: RunConfig, is_stand_in: bool, engine: str) -> list[str]:
    found = []
    if engine != "hf" and config.training.enabled and config.training.backend == "embedded":
        found.append(f"The embedded trainer samples by itself, at another speed than {engine}, which was measured.")
    if is_stand_in:
        found.append(
            "The run makes its own policy: the speed is that of an untrained one of its size, and every completion is "
            "taken to be as long as allowed."
        )
    if config.training.enabled and config.training.backend == "openrlhf":
        found.append(
            "OpenRLHF trains in an environment of its own: its time here is that of generation alone, with the engine "
            "of this machine."
        )
    return found
