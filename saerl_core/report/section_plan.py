"""Sections about the order and what it did: the plan, the training curves, the evaluation."""

import pandas as pd

from saerl_core.plans import OnlinePlan
from saerl_core.report import facts, numbers
from saerl_core.report.below_cut import n_below_cut, what_became_of_them
from saerl_core.report.blocks import (
    Block,
    Figure,
    Missing,
    Section,
    Stat,
    Stats,
    Table,
)
from saerl_core.report.charts import Series, lines
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.maps import plan_clusters, plan_difficulty
from saerl_core.report.section_signals import cluster_names

_MAX_REASONS = 20
_MAX_SLICES = 24


def plan(inputs: ReportInputs) -> Section:
    """Build the section on the plan: composition and difficulty over steps, and why prompts were left out."""
    order, values = inputs.plan, inputs.plan_report.values
    stats = Stats(
        [
            Stat("steps", numbers.count(order.n_steps), f"{order.prompts_per_step:,} prompts each"),
            Stat("distinct prompts", numbers.count(order.table["prompt_id"].nunique())),
            Stat("coherence", numbers.fixed(values.get("coherence")), "share of a batch's largest cluster"),
            Stat("coverage", numbers.fixed(values.get("coverage")), "clusters seen in a window of steps"),
            Stat("mixed", numbers.percent(values.get("mixed_frac")), "slots exchanged with a neighbour"),
            Stat("difficulty trend", numbers.fixed(values.get("difficulty_trend")), "1 is easy to hard"),
        ]
    )
    blocks: list[Block] = [stats]
    if order.table.empty:
        blocks.append(Missing("The plan holds no step."))
    else:
        blocks.extend(_drawn(inputs))
    blocks.append(_decisions(inputs))
    blocks.extend(_exports(inputs))
    lead = f"Strategy {order.strategy}: which prompts in which batch, in which order (hash {order.plan_hash[:12]})."
    return Section("plan", "The plan", blocks, lead=lead)


def _drawn(inputs: ReportInputs) -> list[Block]:
    table = inputs.plan.table
    blocks: list[Block] = []
    if (table["cluster_id"] < 0).all():
        blocks.append(Missing(f"Clusters over steps: strategy {inputs.plan.strategy} does not use clusters."))
    else:
        chart = plan_clusters("clusters over steps", table, cluster_names(inputs))
        caption = (
            "One row a cluster, one column a step: the fuller the colour, the larger the cluster's share of the batch."
        )
        blocks.append(Figure("Clusters over steps", chart, caption=caption))
    blocks.append(_difficulty_figure(inputs))
    mixed = table.groupby("step")["is_mixed"].mean()
    series = Series("share exchanged", [float(s) for s in mixed.index], list(mixed), "c4")
    if mixed.any():
        blocks.append(
            Figure(
                "Share of each batch exchanged with its neighbours",
                lines("mixing", [series], "step", y_range=(0.0, None), size=(960, 160), as_share=True),
            )
        )
    else:
        blocks.append(Missing("Mixing: no slot was exchanged between neighbouring batches."))
    return blocks


def _difficulty_figure(inputs: ReportInputs) -> Figure:
    """Draw the difficulty of the batches, and beside it what the policy got wrong in them."""
    observed = observed_difficulty(inputs.training.consumed) if inputs.training else None
    is_online = isinstance(inputs.plan, OnlinePlan)
    keys = [("c0", f"{'chosen' if is_online else 'planned'}: mean and range of the batch")]
    if observed is not None:
        keys.append(("c1", "share of rollouts that were wrong in training"))
    chart = plan_difficulty("difficulty over steps", inputs.plan.table, observed)
    caption = _difficulty_caption(inputs, is_online) if observed is not None else ""
    return Figure("Difficulty over steps", chart, keys, caption)


def _difficulty_caption(inputs: ReportInputs, is_online: bool) -> str:
    label = inputs.difficulty_report.label
    of_rates = label in ("pass_rate", "known_pass_rate")
    if is_online:
        text = (
            f"Strategy {inputs.plan.strategy} chose each batch while the policy trained, from the rewards so far; the "
            "difficulty is what was known of its prompts before training."
        )
    else:
        text = "The plan was made before training."
    if of_rates:
        return f"{text} Where the policy learns, what it then gets wrong falls below the difficulty."
    told = facts.LABEL_NAMES[label]
    return f"{text} The difficulty comes from the {told} and is no rate of wrong answers: only the trends compare."


def observed_difficulty(consumed: pd.DataFrame) -> pd.DataFrame:
    """Return the columns step and wrong: the share of graded rollouts of that step that were not correct."""
    sums = consumed.groupby("step")[["n_rollouts", "n_correct"]].sum()
    return pd.DataFrame({"step": sums.index, "wrong": 1 - sums["n_correct"] / sums["n_rollouts"]}).reset_index(
        drop=True
    )


def _exports(inputs: ReportInputs) -> list[Block]:
    if not inputs.exports:
        return []
    order = "as it was trained" if isinstance(inputs.plan, OnlinePlan) else "as planned"
    rows = [[name, folder] for name, folder in inputs.exports.items()]
    caption = f"The order {order}, with the settings that keep it; README.md in each folder says how to start."
    return [Table("This plan for other trainers", ["format", "folder"], rows, n_text=2, caption=caption)]


def _decisions(inputs: ReportInputs) -> Table | Missing:
    decisions = inputs.plan.decisions
    if decisions.empty:
        return Missing("Decisions: the plan recorded none.")
    texts = inputs.train.set_index("prompt_id")["prompt"]
    counts = decisions["reason"].value_counts()
    rows = []
    for reason, n in list(counts.items())[:_MAX_REASONS]:
        first = decisions.loc[decisions["reason"] == reason, "prompt_id"].sort_values().head(2)
        examples = " · ".join(numbers.short(str(texts.get(p, p)), 70) for p in first)
        rows.append([str(reason), examples, numbers.count(n), numbers.percent(n / len(decisions))])
    caption = "Every prompt of the pool has one reason; the artifact plan_decisions lists them all."
    if len(counts) > _MAX_REASONS:
        caption += f" {len(counts) - _MAX_REASONS} rarer reasons are not shown."
    if n_below_cut(inputs) and not inputs.config.plan.strategy.filters_by_quality():
        caption += f" {n_below_cut(inputs):,} of them fall below the cut of quality: {what_became_of_them(inputs)}."
    return Table(
        "What became of every prompt", ["reason", "examples", "prompts", "share"], rows, n_text=2, caption=caption
    )
