"""The pipeline: prompts -> signals -> plan -> training -> evaluation -> report."""

from pipelines.base import as_saerl_pipeline
from pipelines.parts import completion_tokens, signals, vectors
from saerl_core.config.run import RunConfig, TrainingConfig
from saerl_core.plan.code import strategy_code
from saerl_core.training.fingerprint import training_code
from steps.evaluate_policy import evaluate_policy
from steps.plan_batches import plan_batches
from steps.train_policy import train_policy
from steps.write_report import write_report


@as_saerl_pipeline(name="saerl")
def saerl_pipeline(config: RunConfig) -> None:
    """SAE-guided data engineering for reinforcement learning on a language model."""
    c, threads = config, config.torch_threads
    s = signals(c)
    training, train_seed = _training(c)
    plan_code, train_code = _code(c)
    embedded, vectors_report = vectors(c, c.plan, s)
    plan, _, plan_report = plan_batches(
        s.prompts, s.quality, s.clusters, s.difficulty, c.plan, train_seed, plan_code, s.policy, completion_tokens(c),
        embedded,
    )  # fmt: skip
    trained = log = consumed = handed_out = training_report = scores = evaluation_report = None
    if c.training.enabled:
        trained, log, consumed, handed_out, training_report = train_policy(
            s.prompts, plan, s.policy, training, c.grading, train_seed, threads, train_code,
            s.dev if training.eval_every_steps is not None else None,
        )  # fmt: skip
    if c.evaluation.enabled:
        held_out = s.test if c.evaluation.split == "test" else s.dev
        scores, _, evaluation_report = evaluate_policy(
            held_out, s.policy, c.evaluation, c.grading, c.seed, threads, trained, s.benchmarks
        )
    write_report(
        prompts=s.prompts, test_prompts=s.test, issues=s.issues, matches=s.matches, prompts_report=s.prompts_report,
        policy_report=s.policy_report, sae=s.sae, sae_report=s.sae_report, features_report=s.features_report,
        quality=s.quality, quality_report=s.quality_report, clusters=s.clusters, clusters_report=s.clusters_report,
        pass_rates=s.pass_rates, pass_rates_report=s.pass_rates_report, difficulty=s.difficulty,
        difficulty_report=s.difficulty_report, plan=plan, plan_report=plan_report, log=log, consumed=consumed,
        handed_out=handed_out, training_report=training_report, scores=scores, evaluation_report=evaluation_report,
        benchmarks_report=s.benchmarks_report, vectors_report=vectors_report,
    )  # fmt: skip


def _training(c: RunConfig) -> tuple[TrainingConfig, int]:
    """Return the settings of the training without its seed, and the seed: in the cache key once, as an argument."""
    return c.training.model_copy(update={"seed": None}), c.seed if c.training.seed is None else c.training.seed


def _code(c: RunConfig) -> tuple[str, str]:
    """Return the hashes of the code that plans and of the code that trains: another strategy's file is in neither."""
    strategy = strategy_code(c.plan.strategy.name)
    return strategy, f"{training_code(c.training.backend)}-{strategy}"
