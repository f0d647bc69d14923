"""The pipeline: prompts -> signals -> plan -> training -> evaluation -> report."""

from typing import Any

from pipelines.base import as_saerl_pipeline
from saerl_core.config import RunConfig, TrainingConfig
from saerl_core.fingerprint import benchmarks_fingerprint, fingerprint, prompts_fingerprint
from saerl_core.plan.code import strategy_code
from saerl_core.training.fingerprint import training_code
from steps.calibrate_difficulty import calibrate_difficulty
from steps.cluster_prompts import cluster_prompts
from steps.embed_prompts import embed_prompts
from steps.evaluate_policy import evaluate_policy
from steps.extract_sae_features import extract_sae_features
from steps.load_benchmarks import load_benchmarks
from steps.load_prompts import load_prompts
from steps.measure_pass_rates import measure_pass_rates
from steps.obtain_sae import obtain_sae
from steps.plan_batches import plan_batches
from steps.prepare_policy import prepare_policy
from steps.train_policy import train_policy
from steps.train_quality_probe import train_quality_probe
from steps.write_report import write_report


@as_saerl_pipeline(name="saerl")
def saerl_pipeline(config: RunConfig) -> None:
    """SAE-guided data engineering for reinforcement learning on a language model."""
    c, seed, threads = config, config.seed, config.torch_threads
    prompts, dev, test, issues, matches, prompts_report = load_prompts(c.prompts, seed, prompts_fingerprint(c.prompts))
    benchmarks, benchmarks_report = _benchmarks(c)
    policy, policy_report = prepare_policy(prompts, dev, test, c.policy, seed, threads, fingerprint(c.policy.model))
    sae_files = fingerprint(c.sae.path, c.sae.model)
    sae, sae_report = obtain_sae(prompts, policy, c.sae, c.features, seed, threads, sae_files)
    features, controls, features_report = extract_sae_features(prompts, policy, sae, c.features, seed, threads)
    quality, _, quality_report = train_quality_probe(
        prompts, features, controls, policy, sae, c.quality, c.features, seed, threads
    )
    clusters, clusters_report = cluster_prompts(prompts, features, c.clusters, seed)
    pass_rates, pass_rates_report = _pass_rates(c, prompts, clusters, policy)
    difficulty, difficulty_report = calibrate_difficulty(
        prompts, features, controls, clusters, policy, c.difficulty, c.features, c.grading, seed, threads, pass_rates
    )
    (training, train_seed), (plan_code, train_code) = _training(c), _code(c)
    vectors, vectors_report = _vectors(c, prompts, features, controls, policy)
    signals = (prompts, quality, clusters, difficulty)
    plan, _, plan_report = plan_batches(*signals, c.plan, train_seed, plan_code, policy, _room(c), vectors)
    trained = log = consumed = handed_out = training_report = scores = evaluation_report = None
    if c.training.enabled:
        trained, log, consumed, handed_out, training_report = train_policy(
            prompts, plan, policy, training, c.grading, train_seed, threads, train_code,
            dev if training.eval_every_steps is not None else None,
        )  # fmt: skip
    if c.evaluation.enabled:
        held_out = test if c.evaluation.split == "test" else dev
        scores, _, evaluation_report = evaluate_policy(
            held_out, policy, c.evaluation, c.grading, seed, threads, trained, benchmarks
        )
    write_report(
        prompts=prompts, test_prompts=test, issues=issues, matches=matches, prompts_report=prompts_report,
        policy_report=policy_report, sae=sae, sae_report=sae_report, features_report=features_report,
        quality=quality, quality_report=quality_report, clusters=clusters, clusters_report=clusters_report,
        pass_rates=pass_rates, pass_rates_report=pass_rates_report, difficulty=difficulty,
        difficulty_report=difficulty_report, plan=plan, plan_report=plan_report, log=log, consumed=consumed,
        handed_out=handed_out, training_report=training_report, scores=scores, evaluation_report=evaluation_report,
        benchmarks_report=benchmarks_report, vectors_report=vectors_report,
    )  # fmt: skip


def _room(c: RunConfig) -> int | None:
    """Return the tokens that a prompt must leave for its completion; None where nobody answers with this policy."""
    if c.policy.source == "text":
        return None
    return c.training.max_completion_tokens if c.training.enabled else 0


def _training(c: RunConfig) -> tuple[TrainingConfig, int]:
    """Return the settings of the training without its seed, and the seed: in the cache key once, as an argument."""
    return c.training.model_copy(update={"seed": None}), c.seed if c.training.seed is None else c.training.seed


def _code(c: RunConfig) -> tuple[str, str]:
    """Return the hashes of the code that plans and of the code that trains: another strategy's file is in neither."""
    strategy = strategy_code(c.plan.strategy)
    return strategy, f"{training_code(c.training.backend)}-{strategy}"


def _pass_rates(c: RunConfig, *artifacts: Any) -> tuple[Any, Any]:
    """Measure pass rates of (prompts, clusters, policy) where the difficulty may be learnt from them."""
    if not c.may_measure:
        return None, None
    # the built-in world knows the levels of its problems; they are there to be found, not to be read
    unless_known = c.difficulty.label == "auto" and c.prompts.source != "task_world"
    rates, report = measure_pass_rates(*artifacts, c.pass_rates, c.grading, c.seed, c.torch_threads, unless_known)
    return rates, report


def _benchmarks(config: RunConfig) -> tuple[Any, Any]:
    """Load the benchmarks where any is named: the prompts and their report."""
    if not (config.evaluation.enabled and config.evaluation.benchmarks):
        return None, None
    settings, max_chars = config.evaluation, config.prompts.max_prompt_chars
    prompts, _, report = load_benchmarks(settings, max_chars, benchmarks_fingerprint(settings))
    return prompts, report


def _vectors(c: RunConfig, *artifacts: Any) -> tuple[Any, Any]:
    """Embed (prompts, features, controls, policy) for the strategy that shares what it learns between prompts."""
    if c.plan.strategy != "adaptive":
        return None, None
    vectors, report = embed_prompts(*artifacts, c.plan.online.vectors(), c.features, c.grading, c.seed, c.torch_threads)
    return vectors, report
