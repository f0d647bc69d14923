"""From signals to a plan: choose the candidates, let the strategy order each epoch, fit it to the number of steps."""

import time

import numpy as np
import pandas as pd
from jaxtyping import Float64

from saerl_core.config.run import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.decisions import NOT_CHOSEN, check_enough, decide, refusals
from saerl_core.plan.epochs import planned_table
from saerl_core.plan.hashing import online_hash, plan_hash
from saerl_core.plan.inputs import PlanInputs
from saerl_core.plan.metrics import plan_metrics, plan_notes
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, Strategy
from saerl_core.plan.strategies.lookup import find
from saerl_core.plans import BatchPlan, FixedPlan, OnlinePlan
from saerl_core.records import PlanReport, PromptVectors
from saerl_core.tables import PLAN


def plan_batches(
    inputs: PlanInputs, config: PlanConfig, seed: int, vectors: PromptVectors | None = None
) -> tuple[BatchPlan, PlanReport]:
    """Build the training order of a run and say what became of every prompt of the pool.

    `n_steps` None is one epoch. Fewer steps than an epoch has batches: it is thinned evenly (`thinning.thin`). More:
    further epochs, each a plan of its own with its own random stream. All batches are full; tails are exchanged
    last, between the batches that are trained on. The same tables and seed give the same bytes, whatever the row order.

    An online strategy gets a plan whose order training makes; `vectors` are what it may know of the prompts.

    Raises `DataError` when a signal lacks prompts of the pool, when the candidates do not fill one batch, or when the
    strategy returns what is no order.
    """
    started = time.monotonic()
    pool = inputs.joined()
    reasons = refusals(pool, config.strategy)
    check_enough(reasons, config.prompts_per_step)
    row = find(config.strategy.name)
    candidates = _candidates(pool[reasons == ""], row, vectors, config)
    if not isinstance(row, StaticStrategy):
        return _online(pool, reasons, candidates, config, seed)
    rows, thinned_out = planned_table(row, candidates, config, seed)
    signals = pool.set_index("prompt_id").loc[rows["prompt_id"], ["cluster_id", "difficulty"]]
    table = PLAN.check(rows.assign(**signals.reset_index(drop=True))[list(PLAN.columns)])
    decisions = decide(pool["prompt_id"], reasons, table, thinned_out, config.prompts_per_step)
    plan = FixedPlan(table, decisions, config.strategy.name, seed, config.prompts_per_step, plan_hash(table))
    values = plan_metrics(table, n_clusters=pool["cluster_id"].nunique(), decisions=decisions)
    seconds = time.monotonic() - started
    return plan, PlanReport(stage="plan", seconds=seconds, values=values, notes=plan_notes(table, decisions))


def _candidates(pool: pd.DataFrame, row: Strategy, vectors: PromptVectors | None, config: PlanConfig) -> Candidates:
    """Return the prompts that may be planned, with the signals that the strategy's row names and no other."""
    table = pool[["prompt_id", *row.signals]].reset_index(drop=True)
    rows = _rows([str(p) for p in table["prompt_id"]], vectors, config)
    return Candidates(table, rows, config.prompts_per_step)


def _rows(ids: list[str], vectors: PromptVectors | None, config: PlanConfig) -> Float64[np.ndarray, "n d"]:
    if config.strategy.vectors() is None:
        return np.zeros((len(ids), 0))
    if vectors is None:
        raise DataError(
            f"strategy '{config.strategy.name}' needs the vectors of the prompts; run embed_prompts before plan_batches"
        )
    where = {p: i for i, p in enumerate(vectors.prompt_ids)}
    missing = next((p for p in ids if p not in where), None)
    if missing is not None:
        raise DataError(f"prompt {missing} has no vector; embed the whole pool")
    return np.asarray(vectors.matrix, dtype=np.float64)[[where[p] for p in ids]]


def _online(
    pool: pd.DataFrame, reasons: pd.Series, candidates: Candidates, config: PlanConfig, seed: int
) -> tuple[OnlinePlan, PlanReport]:
    """Return a plan whose table is empty until it has been trained."""
    table = PLAN.check(pd.DataFrame(columns=list(PLAN.columns)))
    decisions = decide(pool["prompt_id"], reasons, table, (), config.prompts_per_step)
    decisions = decisions.assign(reason=decisions["reason"].where(reasons.to_numpy() != "", NOT_CHOSEN))
    n_steps = config.n_steps or len(candidates.table) // config.prompts_per_step
    sizes = {"seed": seed, "prompts_per_step": config.prompts_per_step, "n_steps": n_steps}
    digest = online_hash(candidates.table, candidates.vectors, config.strategy, **sizes)
    plan = OnlinePlan(
        table,
        decisions,
        candidates.table,
        candidates.vectors,
        config.strategy,
        seed,
        config.prompts_per_step,
        n_steps,
        digest,
    )
    values = {"n_steps": float(n_steps), "n_candidates": float(len(candidates.table))}
    notes = (f"strategy '{plan.strategy}' chooses every batch from the rewards so far: the order is made in training",)
    return plan, PlanReport(stage="plan", values=values, notes=notes)
