"""The pipeline: prompts -> signals -> plan -> training -> evaluation -> report."""

from typing import Any, NamedTuple

from pipelines.base import as_saerl_pipeline
from pipelines.parts import Signals, completion_tokens, signals, vectors
from saerl_core.config.run import CONTROL_STRATEGY, PlanConfig, RunConfig
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


class _Trained(NamedTuple):
    """Artifacts of a training; None where there was none."""

    policy: Any = None
    log: Any = None
    consumed: Any = None
    handed_out: Any = None
    report: Any = None


class _Scores(NamedTuple):
    """Artifacts of an evaluation; None where there was none."""

    scores: Any = None
    items: Any = None
    report: Any = None


@as_saerl_pipeline(name="saerl")
def saerl_pipeline(config: RunConfig) -> None:
    """SAE-guided data engineering for reinforcement learning on a language model."""
    c, s = config, signals(config)
    code = strategy_code(c.plan.strategy.name)
    embedded, vectors_report = vectors(c, c.plan, s)
    plan, plan_report = _planned(c, s, c.plan, code, embedded)
    trained = _trained(c, s, plan, code) if c.training.enabled else _Trained()
    exported, export_report = exports(c, s, plan, trained.consumed)
    found = _evaluated(c, s, s.policy, trained.policy) if c.evaluation.enabled else _Scores()
    watched = _watch(c, s, trained.policy)
    counterfactual = control(c, s, plan) if c.trains_control else {}
    write_report(
        **s.for_report(),
        plan=plan,
        plan_report=plan_report,
        log=trained.log,
        consumed=trained.consumed,
        handed_out=trained.handed_out,
        training_report=trained.report,
        scores=found.scores,
        items=found.items,
        evaluation_report=found.report,
        vectors_report=vectors_report,
        exported=exported,
        export_report=export_report,
        watch_report=watched,
        **counterfactual,
    )


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


def control(c: RunConfig, s: Signals, plan: Any) -> dict[str, Any]:
    """Call plan, training and evaluation once more for a plain shuffle: the arguments of the report about it.

    After the evaluation of the main policy, which an error here does not touch. It gets as many steps as `plan`, and
    answers the same held-out prompts with the same random numbers.
    """
    shuffle = PlanConfig.model_validate({**c.plan.model_dump(), "strategy": CONTROL_STRATEGY})
    code = strategy_code(CONTROL_STRATEGY)
    sizes = plan if c.plan.n_steps is None else None
    order, plan_report = _planned(
        c, s, shuffle, code, trial=CONTROL, sizes=sizes, id="plan_control", after="evaluate_policy"
    )
    trained = _trained(c, s, order, code, trial=CONTROL, id="train_control")
    found = _evaluated(c, s, trained.policy, trial=CONTROL, id="evaluate_control")
    return {
        "control_items": found.items,
        "control_scores": found.scores,
        "control_log": trained.log,
        "control_plan_report": plan_report,
        "control_training_report": trained.report,
        "control_evaluation_report": found.report,
    }


def _planned(c: RunConfig, s: Signals, wanted: PlanConfig, code: str, *embedded: Any, **call: Any) -> tuple[Any, Any]:
    """Call the step that makes a plan: the plan and its report. `call`: what else the step and ZenML are told."""
    lengths = completion_tokens(c)
    plan, _, report = plan_batches(
        s.prompts,
        s.quality,
        s.clusters,
        s.difficulty,
        wanted,
        _train_seed(c),
        code,
        s.policy,
        lengths,
        *embedded,
        **call,
    )
    return plan, report


def _trained(c: RunConfig, s: Signals, plan: Any, code: str, **call: Any) -> _Trained:
    """Call the step that trains. The settings have no seed: it is in the cache key once, as an argument.

    `code`: the hash of the strategy's code; with that of the trainer's a change of another strategy repeats nothing.
    """
    training = c.training.model_copy(update={"seed": None})
    train_code = f"{training_code(c.training.backend)}-{code}"
    dev = s.dev if training.eval_every_steps is not None else None
    return _Trained(
        *train_policy(
            s.prompts, plan, s.policy, training, c.grading, _train_seed(c), c.torch_threads, train_code, dev, **call
        )
    )


def _evaluated(c: RunConfig, s: Signals, *policies: Any, **call: Any) -> _Scores:
    """Call the step that scores one policy, or a policy before and after training, on held-out prompts and benchmarks.

    What else is done with the answers is not in its cache key.
    """
    wanted = c.evaluation.model_copy(update={"watch_prompts": 0})
    base, *trained = policies
    return _Scores(
        *evaluate_policy(
            _held_out(c, s),
            base,
            wanted,
            c.grading,
            c.seed,
            c.torch_threads,
            *trained,
            benchmarks=s.benchmarks,
            rollouts=c.rollouts,
            **call,
        )
    )


def _watch(c: RunConfig, s: Signals, trained: Any) -> Any:
    """Read answers before and after training with the SAE, where `evaluation.watch_prompts` asks for it."""
    if not (c.evaluation.enabled and c.training.enabled and c.evaluation.watch_prompts):
        return None
    return watch_features(
        _held_out(c, s), s.policy, trained, s.sae, c.evaluation, c.features, c.rollouts, c.seed, c.torch_threads
    )


def _held_out(c: RunConfig, s: Signals) -> Any:
    return s.test if c.evaluation.split == "test" else s.dev


def _train_seed(c: RunConfig) -> int:
    return c.seed if c.training.seed is None else c.training.seed
