"""The pipeline: prompts -> signals -> plan -> training -> evaluation -> report."""

from typing import Any

from pipelines.base import as_saerl_pipeline
from pipelines.parts import Signals, completion_tokens, signals, vectors
from saerl_core.config.run import CONTROL_STRATEGY, EvaluationConfig, PlanConfig, RunConfig, TrainingConfig
from saerl_core.plan.code import strategy_code
from saerl_core.plan.strategies.lookup import find
from saerl_core.stages import CONTROL
from saerl_core.training.fingerprint import training_code
from steps.evaluate_policy import evaluate_policy
from steps.export_plan import export_plan
from steps.plan_batches import plan_batches
from steps.train_policy import train_policy
from steps.watch_features import watch_features
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
    trained = log = consumed = handed_out = training_report = scores = items = evaluation_report = None
    if c.training.enabled:
        trained, log, consumed, handed_out, training_report = train_policy(
            s.prompts, plan, s.policy, training, c.grading, train_seed, threads, train_code,
            s.dev if training.eval_every_steps is not None else None,
        )  # fmt: skip
    exported, export_report = exports(c, s, plan, consumed)
    if c.evaluation.enabled:
        held_out = s.test if c.evaluation.split == "test" else s.dev
        scores, items, evaluation_report = evaluate_policy(
            held_out, s.policy, _scored(c), c.grading, c.seed, threads, trained, s.benchmarks, rollouts=c.rollouts
        )
    watched = _watch(c, s, trained)
    counterfactual = control(c, s, plan) if c.trains_control else {}
    write_report(
        prompts=s.prompts, test_prompts=s.test, issues=s.issues, matches=s.matches, prompts_report=s.prompts_report,
        policy_report=s.policy_report, sae=s.sae, sae_report=s.sae_report, features_report=s.features_report,
        quality=s.quality, quality_report=s.quality_report, clusters=s.clusters, clusters_report=s.clusters_report,
        pass_rates=s.pass_rates, pass_rates_report=s.pass_rates_report, difficulty=s.difficulty,
        difficulty_report=s.difficulty_report, plan=plan, plan_report=plan_report, log=log, consumed=consumed,
        handed_out=handed_out, training_report=training_report, scores=scores, evaluation_report=evaluation_report,
        benchmarks_report=s.benchmarks_report, vectors_report=vectors_report,
        likelihoods_report=s.likelihoods_report, items=items, exported=exported,
        export_report=export_report, feature_names=s.feature_names, watch_report=watched, **counterfactual,
    )  # fmt: skip


def exports(c: RunConfig, s: Signals, plan: Any, consumed: Any) -> tuple[Any, Any]:
    """Write the plan for the trainers that `export` names: the folders and their report.

    A static plan does not wait for the training and stays cached whatever the training does.
    """
    if not c.export:
        return None, None
    is_online = find(c.plan.strategy.name).is_online
    order = {"consumed": consumed, "clusters": s.clusters, "difficulty": s.difficulty} if is_online else {}
    exported, report = export_plan(
        s.prompts,
        plan,
        s.policy,
        list(c.export),
        c.grading.kind,
        c.training.group_size,
        s.matches,
        s.prompts_report,
        **order,
    )
    return exported, report


def _watch(c: RunConfig, s: Signals, trained: Any) -> Any:
    """Read answers before and after training with the SAE, where `evaluation.watch_prompts` asks for it."""
    if not (c.evaluation.enabled and c.training.enabled and c.evaluation.watch_prompts):
        return None
    held_out = s.test if c.evaluation.split == "test" else s.dev
    return watch_features(
        held_out, s.policy, trained, s.sae, c.evaluation, c.features, c.rollouts, c.seed, c.torch_threads
    )


def control(c: RunConfig, s: Signals, plan: Any) -> dict[str, Any]:
    """Call plan, training and evaluation once more for a plain shuffle: the arguments of the report about it.

    After the evaluation of the main policy, which an error here does not touch. It gets as many steps as `plan`, and
    answers the same held-out prompts with the same random numbers.
    """
    training, train_seed = _training(c)
    shuffle = PlanConfig.model_validate({**c.plan.model_dump(), "strategy": CONTROL_STRATEGY})
    code = strategy_code(CONTROL_STRATEGY)
    order, _, plan_report = plan_batches(
        s.prompts, s.quality, s.clusters, s.difficulty, shuffle, train_seed, code, s.policy, completion_tokens(c),
        trial=CONTROL, sizes=plan if c.plan.n_steps is None else None, id="plan_control", after="evaluate_policy",
    )  # fmt: skip
    trained, log, _, _, training_report = train_policy(
        s.prompts, order, s.policy, training, c.grading, train_seed, c.torch_threads,
        f"{training_code(c.training.backend)}-{code}", s.dev if training.eval_every_steps is not None else None,
        trial=CONTROL, id="train_control",
    )  # fmt: skip
    scores, items, evaluation_report = evaluate_policy(
        s.test if c.evaluation.split == "test" else s.dev, trained, _scored(c), c.grading, c.seed, c.torch_threads,
        benchmarks=s.benchmarks, trial=CONTROL, rollouts=c.rollouts, id="evaluate_control",
    )  # fmt: skip
    return {
        "control_items": items, "control_scores": scores, "control_log": log, "control_plan_report": plan_report,
        "control_training_report": training_report, "control_evaluation_report": evaluation_report,
    }  # fmt: skip


def _scored(c: RunConfig) -> EvaluationConfig:
    """Return the settings of the scores: what else is done with answers is not in their cache key."""
    return c.evaluation.model_copy(update={"watch_prompts": 0})


def _training(c: RunConfig) -> tuple[TrainingConfig, int]:
    """Return the settings of the training without its seed, and the seed: in the cache key once, as an argument."""
    return c.training.model_copy(update={"seed": None}), c.seed if c.training.seed is None else c.training.seed


def _code(c: RunConfig) -> tuple[str, str]:
    """Return the hashes of the code that plans and of the code that trains: another strategy's file is in neither."""
    strategy = strategy_code(c.plan.strategy.name)
    return strategy, f"{training_code(c.training.backend)}-{strategy}"
