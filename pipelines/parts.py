"""The parts that pipelines are made of: the signals, computed once, and what follows from them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipelines import sharded
from pipelines.inputs import benchmarks_fingerprint, prompts_fingerprint
from pipelines.placement import may_read_likelihoods
from saerl_core.config.run import DifficultyConfig, PlanConfig, RunConfig
from saerl_core.fingerprint import fingerprint
from saerl_core.signals.labels import may_lack_labels
from saerl_core.trials.arms import Reading
from steps.calibrate_difficulty import calibrate_difficulty
from steps.cluster_prompts import cluster_prompts
from steps.embed_prompts import embed_prompts
from steps.load_benchmarks import load_benchmarks
from steps.load_prompts import load_prompts
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
    likelihoods: Any
    likelihoods_report: Any
    difficulty: Any
    difficulty_report: Any

    def for_report(self) -> dict[str, Any]:
        """Return the arguments of `write_report` among them."""
        others = {"dev", "test", "benchmarks", "policy", "features", "controls", "likelihoods"}
        return {n: value for n, value in self._asdict().items() if n not in others} | {"test_prompts": self.test}


class PoolSignals(NamedTuple):
    """Artifacts of one reading of the pool that plans are made from."""

    features: Any
    controls: Any
    quality: Any
    clusters: Any
    difficulty: Any
    likelihoods: Any


class _Read(NamedTuple):
    """Artifacts of an SAE and of what it reads in the pool."""

    sae: Any
    sae_report: Any
    features: Any
    controls: Any
    feature_names: Any
    features_report: Any


def signals(c: RunConfig, *, compares: bool = False) -> Signals:
    """Call the steps from the prompts to the difficulty, of a run or of a comparison."""
    seed, threads = c.seed, c.torch_threads
    prompts, dev, test, issues, matches, prompts_report = load_prompts(c.prompts, seed, prompts_fingerprint(c.prompts))
    benchmarks, benchmarks_report = _benchmarks(c)
    policy, policy_report = prepare_policy(prompts, dev, test, c.policy, seed, threads, fingerprint(c.policy.model))
    read = _read(c, prompts, policy)
    quality, quality_report = _quality(c, prompts, policy, read)
    clusters, clusters_report = _clusters(c, prompts, read)
    pass_rates, pass_rates_report = _pass_rates(c, prompts, clusters, policy)
    likelihoods, likelihoods_report = _likelihoods(c, prompts, policy, compares)
    difficulty, difficulty_report = _difficulty(c, prompts, read, clusters, pass_rates, likelihoods)
    return Signals(
        prompts,
        dev,
        test,
        issues,
        matches,
        prompts_report,
        benchmarks,
        benchmarks_report,
        policy,
        policy_report,
        *read,
        quality,
        quality_report,
        clusters,
        clusters_report,
        pass_rates,
        pass_rates_report,
        likelihoods,
        likelihoods_report,
        difficulty,
        difficulty_report,
    )


def own_signals(own: Signals) -> PoolSignals:
    """Return what plans are made from in the run's own reading of the pool."""
    return PoolSignals(*(getattr(own, name) for name in PoolSignals._fields))


def other_signals(c: RunConfig, own: Signals, readings: Mapping[str, Reading]) -> list[PoolSignals]:
    """Call the signals' steps once more for each reading, learnt from the same labels; an SAE is obtained once."""
    reads = {(c.sae, c.features): _Read(*(getattr(own, name) for name in _Read._fields))}
    policy_read = {_batches(c): own.likelihoods}
    found = []
    for name, reading in readings.items():
        theirs, of, key = reading.config(c), f"_{name}", (reading.sae, reading.features)
        if key not in reads:
            reads[key] = _read(theirs, own.prompts, own.policy, of)
        read = reads[key]
        quality, _ = _quality(theirs, own.prompts, own.policy, read, of)
        clusters, _ = _clusters(theirs, own.prompts, read, of)
        if _batches(theirs) not in policy_read:
            policy_read[_batches(theirs)], _ = _likelihoods(theirs, own.prompts, own.policy, True, of)
        likelihoods = policy_read[_batches(theirs)]
        difficulty, _ = _difficulty(theirs, own.prompts, read, clusters, own.pass_rates, likelihoods, of)
        found.append(PoolSignals(read.features, read.controls, quality, clusters, difficulty, likelihoods))
    return found


def _batches(c: RunConfig) -> tuple[int, str]:
    """Return what the policy's likelihoods depend on in the settings of a reading."""
    return c.features.batch_tokens, c.features.device


def _read(c: RunConfig, prompts: Any, policy: Any, of: str = "") -> _Read:
    seed = c.seed if c.sae.seed is None else c.sae.seed
    files = fingerprint(c.sae.path, c.sae.model)
    sae, report = obtain_sae(prompts, policy, c.sae, c.features, seed, c.torch_threads, files, id=f"obtain_sae{of}")
    return _Read(sae, report, *sharded.features(c, prompts, policy, sae, of))


def _quality(c: RunConfig, prompts: Any, policy: Any, read: _Read, of: str = "") -> tuple[Any, Any]:
    quality, _, report = train_quality_probe(
        prompts,
        read.features,
        read.controls,
        policy,
        read.sae,
        c.quality,
        c.features,
        c.seed,
        c.torch_threads,
        c.signals.space,
        id=f"train_quality_probe{of}",
    )
    return quality, report


def _clusters(c: RunConfig, prompts: Any, read: _Read, of: str = "") -> tuple[Any, Any]:
    batch = c.plan.prompts_per_step if c.clusters.n_clusters is None else None  # no reason to cluster again otherwise
    clusters, report = cluster_prompts(
        prompts, read.features, c.clusters, c.seed, read.controls, c.signals.space, batch, id=f"cluster_prompts{of}"
    )
    return clusters, report


def _likelihoods(c: RunConfig, prompts: Any, policy: Any, compares: bool, of: str = "") -> tuple[Any, Any]:
    """Let the policy read the pool where a strategy wants to know its likelihoods or the pool may have no labels."""
    is_read = may_read_likelihoods(c, compares=compares)
    if is_read is False:
        return None, None
    likelihoods, report = sharded.likelihoods(c, prompts, policy, None if is_read else _label(c), of)
    return likelihoods, report


def _difficulty(
    c: RunConfig, prompts: Any, read: _Read, clusters: Any, pass_rates: Any, likelihoods: Any, of: str = ""
) -> tuple[Any, Any]:
    difficulty, report = calibrate_difficulty(
        prompts,
        read.features,
        read.controls,
        clusters,
        _label(c),
        c.seed,
        c.torch_threads,
        pass_rates,
        c.signals.space,
        _of_labels(c, likelihoods),
        id=f"calibrate_difficulty{of}",
    )
    return difficulty, report


def _of_labels(c: RunConfig, likelihoods: Any) -> Any:
    """Return the likelihoods only where they may stand in for labels: nothing else shall wait for them."""
    return None if may_lack_labels(c) is False else likelihoods


def vectors(c: RunConfig, plan: PlanConfig, found: Signals) -> tuple[Any, Any]:
    """Embed the prompts where the plan's strategy asks for vectors: they and their report."""
    wanted = plan.strategy.vectors()
    if wanted is None:
        return None, None
    likelihoods = found.likelihoods if wanted.use_likelihood else None
    embedded, report = embed_prompts(found.prompts, found.features, found.controls, wanted, c.seed, likelihoods)
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
    rates, report = sharded.pass_rates(c, *artifacts, unless_known)
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
