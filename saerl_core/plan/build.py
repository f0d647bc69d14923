"""From signals to a plan: choose the candidates, let the strategy order each epoch, fit it to the number of steps."""

import math
import time

import pandas as pd

from saerl_core.config import PlanConfig
from saerl_core.plan.decisions import NOT_CHOSEN, check_enough, decide, refusals
from saerl_core.plan.hashing import plan_hash
from saerl_core.plan.inputs import PlanInputs
from saerl_core.plan.metrics import plan_metrics, plan_notes
from saerl_core.plan.mixing import swap_tails
from saerl_core.plan.online.recipe import ONLINE, make_recipe, recipe_hash
from saerl_core.plan.strategies import STRATEGIES
from saerl_core.plan.thinning import thin
from saerl_core.records import BatchPlan, PlanReport, PromptVectors
from saerl_core.seeds import stage_rng
from saerl_core.tables import PLAN


def plan_batches(
    inputs: PlanInputs, config: PlanConfig, seed: int, vectors: PromptVectors | None = None
) -> tuple[BatchPlan, PlanReport]:
    """Build the training order of a run and say what became of every prompt of the pool.

    `n_steps` None is one epoch. Fewer steps than an epoch has batches: it is thinned evenly (`thinning.thin`). More:
    further epochs, each a plan of its own with its own random stream. All batches are full; tails are exchanged
    last, between the batches that are trained on. The same tables and seed give the same bytes, whatever the row order.

    An online strategy gets a recipe in place of an order; `vectors` are what `adaptive` knows of the prompts.

    Raises `DataError` when a signal lacks prompts of the pool, or when the candidates do not fill one batch.
    """
    started = time.monotonic()
    pool = inputs.joined()
    reasons = refusals(pool, config)
    check_enough(reasons, config.prompts_per_step)
    if config.strategy in ONLINE:
        return _online(pool, reasons, vectors, config, seed)
    table, thinned_out = _table(pool, pool[reasons == ""], config, seed)
    decisions = decide(pool["prompt_id"], reasons, table, thinned_out)
    plan = BatchPlan(table, decisions, config.strategy, seed, config.prompts_per_step, plan_hash(table))
    values = plan_metrics(table, n_clusters=pool["cluster_id"].nunique(), decisions=decisions)
    seconds = time.monotonic() - started
    return plan, PlanReport(stage="plan", seconds=seconds, values=values, notes=plan_notes(table, decisions))


def _online(
    pool: pd.DataFrame, reasons: pd.Series, vectors: PromptVectors | None, config: PlanConfig, seed: int
) -> tuple[BatchPlan, PlanReport]:
    """Return a plan that is a recipe: its table is empty until it has been trained."""
    recipe = make_recipe(pool[reasons == ""], vectors, config)
    table = PLAN.check(pd.DataFrame(columns=list(PLAN.columns)))
    decisions = decide(pool["prompt_id"], reasons, table, ())
    decisions = decisions.assign(reason=decisions["reason"].where(reasons.to_numpy() != "", NOT_CHOSEN))
    digest = recipe_hash(recipe, seed)
    plan = BatchPlan(table, decisions, config.strategy, seed, config.prompts_per_step, digest, recipe)
    values = {"n_steps": float(recipe.n_steps), "n_candidates": float(len(recipe.prompt_ids))}
    notes = (
        f"strategy '{config.strategy}' chooses every batch from the rewards so far: the order is made in training",
    )
    return plan, PlanReport(stage="plan", values=values, notes=notes)


def _table(
    pool: pd.DataFrame, candidates: pd.DataFrame, config: PlanConfig, seed: int
) -> tuple[pd.DataFrame, set[str]]:
    """Return `tables.PLAN` and the prompts of batches that `n_steps` left no room for."""
    order = STRATEGIES[config.strategy]
    n_batches = len(candidates) // config.prompts_per_step
    n_steps = config.n_steps or n_batches
    rows: list[tuple[int, int, int, str, bool]] = []
    thinned_out: set[str] = set()
    for epoch in range(math.ceil(n_steps / n_batches)):
        first = epoch * n_batches
        epoch_order = order(candidates, config, stage_rng(seed, f"plan/epoch={epoch}"))
        chosen = thin(epoch_order.batches, min(n_batches, n_steps - first))
        thinned_out |= {p for b in set(epoch_order.batches) - set(chosen) for p in b.prompt_ids}
        for step, (batch, mixed) in enumerate(swap_tails(chosen, epoch_order.n_swap), start=first):
            rows += [(step, slot, epoch, p, p in mixed) for slot, p in enumerate(batch.prompt_ids)]
    table = pd.DataFrame(rows, columns=["step", "slot", "epoch", "prompt_id", "is_mixed"])
    signals = pool.set_index("prompt_id").loc[table["prompt_id"], ["cluster_id", "difficulty"]]
    return PLAN.check(table.assign(**signals.reset_index(drop=True))[list(PLAN.columns)]), thinned_out
