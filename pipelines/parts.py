"""The parts that pipelines are made of: the signals, computed once, and what follows from them."""

from typing import Any, NamedTuple

from saerl_core.config.run import DifficultyConfig, PlanConfig, RunConfig
from saerl_core.fingerprint import benchmarks_fingerprint, fingerprint, prompts_fingerprint
from steps.calibrate_difficulty import calibrate_difficulty
from steps.cluster_prompts import cluster_prompts
from steps.embed_prompts import embed_prompts
from steps.extract_sae_features import extract_sae_features
from steps.load_benchmarks import load_benchmarks
from steps.load_prompts import load_prompts
from steps.measure_pass_rates import measure_pass_rates
from steps.obtain_sae import obtain_sae
from steps.prepare_policy import prepare_policy
from steps.train_quality_probe import train_quality_probe


class Signals(NamedTuple):
    """Artifacts of everything that a plan is made from; None where the configuration asks for no such thing."""

    prompts: Any
    dev: Any
    test: Any
    issues: Any
    matches: Any
    prompts_report: Any
    benchmarks: Any
    benchmarks_report: Any
    policy: Any
    policy_report: Any
    sae: Any
    sae_report: Any
    features: Any
    controls: Any
    feature_names: Any
    features_report: Any
    quality: Any
    quality_report: Any
    clusters: Any
    clusters_report: Any
    pass_rates: Any
    pass_rates_report: Any
    difficulty: Any
    difficulty_report: Any


def signals(c: RunConfig) -> Signals:
    """Call the steps from the prompts to the difficulty."""
    seed, threads, space = c.seed, c.torch_threads, c.signals.space
    prompts, dev, test, issues, matches, prompts_report = load_prompts(c.prompts, seed, prompts_fingerprint(c.prompts))
    benchmarks, benchmarks_report = _benchmarks(c)
    policy, policy_report = prepare_policy(prompts, dev, test, c.policy, seed, threads, fingerprint(c.policy.model))
    sae_files = fingerprint(c.sae.path, c.sae.model)
    sae, sae_report = obtain_sae(prompts, policy, c.sae, c.features, seed, threads, sae_files)
    features, controls, feature_names, features_report = extract_sae_features(
        prompts, policy, sae, c.features, seed, threads
    )
    quality, _, quality_report = train_quality_probe(
        prompts, features, controls, policy, sae, c.quality, c.features, seed, threads, space
    )
    batch = c.plan.prompts_per_step if c.clusters.n_clusters is None else None  # no reason to cluster again otherwise
    clusters, clusters_report = cluster_prompts(prompts, features, c.clusters, seed, controls, space, batch)
    pass_rates, pass_rates_report = _pass_rates(c, prompts, clusters, policy)
    difficulty, difficulty_report = calibrate_difficulty(
        prompts,
        features,
        controls,
        clusters,
        policy,
        _label(c),
        c.features,
        c.grading,
        seed,
        threads,
        pass_rates,
        space,
    )
    return Signals(
        prompts, dev, test, issues, matches, prompts_report, benchmarks, benchmarks_report, policy, policy_report,
        sae, sae_report, features, controls, feature_names, features_report, quality, quality_report, clusters,
        clusters_report, pass_rates, pass_rates_report, difficulty, difficulty_report,
    )  # fmt: skip


def vectors(c: RunConfig, plan: PlanConfig, found: Signals) -> tuple[Any, Any]:
    """Embed the prompts where the plan's strategy asks for vectors: they and their report."""
    wanted = plan.strategy.vectors()
    if wanted is None:
        return None, None
    artifacts = (found.prompts, found.features, found.controls, found.policy)
    embedded, report = embed_prompts(*artifacts, wanted, c.features, c.grading, c.seed, c.torch_threads)
    return embedded, report


def completion_tokens(c: RunConfig) -> int | None:
    """Return how many tokens of the context a completion needs; None where the policy is for features only."""
    if c.policy.source == "text":
        return None  # its context says nothing about who trains on the plan
    return c.training.max_completion_tokens if c.training.enabled else 0


def _pass_rates(c: RunConfig, *artifacts: Any) -> tuple[Any, Any]:
    """Measure pass rates of (prompts, clusters, policy) where the difficulty may be learnt from them."""
    if not c.may_measure:
        return None, None
    # the built-in world knows the levels of its problems; they are there to be found, not to be read
    unless_known = c.difficulty.label == "auto" and c.prompts.world is None
    rates, report = measure_pass_rates(
        *artifacts, c.pass_rates, c.grading, c.seed, c.torch_threads, unless_known, c.rollouts
    )
    return rates, report


def _label(c: RunConfig) -> DifficultyConfig:
    """Return how the difficulty is learnt: where nothing is measured, not from the levels of the built-in world."""
    if c.prompts.world is not None and c.difficulty.label == "auto" and not c.may_measure:
        return c.difficulty.model_copy(update={"label": "likelihood"})
    return c.difficulty


def _benchmarks(config: RunConfig) -> tuple[Any, Any]:
    """Load the benchmarks where any is named: the prompts and their report."""
    if not (config.evaluation.enabled and config.evaluation.benchmarks):
        return None, None
    settings, max_chars = config.evaluation, config.prompts.max_prompt_chars
    prompts, _, report = load_benchmarks(settings, max_chars, benchmarks_fingerprint(settings))
    return prompts, report
