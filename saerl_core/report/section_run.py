"""Sections about the run as a whole: the headline, the cost ledger, the appendix."""

import json
from collections.abc import Collection, Hashable, Mapping

import pandas as pd

from saerl_core.advice.cost import PlannedCost, planned_costs
from saerl_core.advice.said import Said
from saerl_core.algorithms import ALGORITHMS
from saerl_core.report import facts, numbers
from saerl_core.report.blocks import (
    Block,
    Callout,
    Code,
    Figure,
    Missing,
    Notes,
    Row,
    Section,
    Stat,
    Stats,
    Table,
    Text,
)
from saerl_core.report.charts import bars
from saerl_core.report.control import versus, versus_sentence
from saerl_core.report.inputs import ReportInputs
from saerl_core.stages import PURPOSES, purpose_of

_UNPLANNED = {
    "prepare_policy": ", which measured the competence of the policy it had made, on fresh problems whose number is "
    "known only then",
    "watch_features": ", which sampled answers before and after training to see what fires in them",
}
_PURPOSE_COLOURS = {"setup": "c7", "selection": "c0", "training": "c1", "evaluation": "c2", "control": "c3"}


def headline(inputs: ReportInputs) -> Section:
    """Build the part that most readers stop at."""
    blocks: list[Block] = []
    gain, against = facts.gain_of(inputs), versus(inputs)
    if against is not None:  # the first sentence of the page
        blocks += [Text(versus_sentence(against), strong=True), Text(what_ran(inputs))]
    if gain is not None:
        blocks.append(Text(facts.gain_sentence(gain), strong=against is None))
        blocks.append(Text(facts.comparison_advice(inputs)))
    elif inputs.training is None:
        blocks.append(Text("This run curated the pool and stopped at the plan: training is off.", strong=True))
        blocks.append(Missing("There is no score before and after, because nothing was trained."))
    else:
        blocks.append(Text("The policy was trained, and nothing was measured before and after.", strong=True))
        blocks.append(Missing("There is no held-out comparison: evaluation is off, or there are no held-out prompts."))
    blocks.append(Stats(_headline_stats(inputs, gain)))
    proof = facts.order_proof(inputs)
    if proof is not None:
        blocks.append(Callout(facts.order_sentence(proof), "good" if proof.holds else "bad"))
    blocks.extend(Text(f"Does the SAE matter here? {v[0].upper()}{v[1:]}") for v in facts.sae_verdicts(inputs)[:1])
    if inputs.notes():
        blocks.append(Notes("What the stages want you to know", inputs.notes()))
    return Section("headline", "What this run did", blocks, lead="" if against else what_ran(inputs))


def what_ran(inputs: ReportInputs) -> str:
    """Say in one sentence which plan was made over how many prompts, and what was trained with it."""
    plan = inputs.plan
    values = inputs.config.training
    n_used = int(inputs.plan.decisions["planned"].sum())
    text = (
        f"Strategy {plan.strategy}, seed {plan.seed}: {plan.n_steps:,} steps of {plan.prompts_per_step:,} prompts, "
        f"{n_used:,} of {len(inputs.train):,} prompts of the pool planned (plan {plan.plan_hash[:12]})"
    )
    if inputs.training is None:
        return text + "."
    return (
        text
        + f", trained with {ALGORITHMS[values.algorithm].title} at {values.group_size} rollouts a prompt "
        + f"({values.backend} backend)."
    )


def _headline_stats(inputs: ReportInputs, gain: facts.Gain | None) -> list[Stat]:
    costs = inputs.costs
    total = costs[["seconds", "n_rollouts", "n_generated_tokens", "n_prefill_tokens"]].sum()
    selection = facts.cost_by_purpose(costs).to_dict("index")["selection"]
    stats: list[Stat] = []
    if gain is not None:
        error = numbers.fixed(100 * gain.stderr, 1)
        stats.append(Stat(f"{gain.metric} before", numbers.percent(gain.before), f"{gain.n_prompts:,} prompts"))
        stats.append(
            Stat(f"{gain.metric} after", numbers.percent(gain.after), f"{numbers.points(gain.gain)} ± {error}")
        )
    n_chosen = numbers.count(selection["n_rollouts"])
    stats.append(Stat("rollouts", numbers.count(total["n_rollouts"]), f"{n_chosen} of them to choose prompts"))
    tokens = numbers.count(total["n_generated_tokens"])
    stats.append(Stat("generated tokens", tokens, f"{numbers.count(total['n_prefill_tokens'])} prefill tokens"))
    seconds = numbers.duration(selection["seconds"])
    stats.append(Stat("time", numbers.duration(float(total["seconds"])), f"{seconds} for selection"))
    return stats


def ledger(inputs: ReportInputs) -> Section:
    """Build the cost ledger: every stage, the totals by purpose, the price of selection."""
    costs = inputs.costs
    if costs.empty:
        return Section("costs", "Cost ledger", [Missing("No costs were recorded.")])
    planned = {row.stage: row for row in _planned(inputs)}
    rows = _cost_rows(costs, planned)
    strong = frozenset(range(len(costs), len(rows)))
    header = ["stage", "purpose", "rollouts", "planned", "generated tokens", "at most", "prefill tokens", "time"]
    if inputs.said is not None:
        header.append("time said")
        rows = [[*row, _time_said(inputs.said, row[0])] for row in rows]
    return Section(
        "costs",
        "Cost ledger",
        [
            Text(
                " ".join([_selection_sentence(inputs), *_said_sentence(inputs), *_unplanned_sentence(inputs, planned)])
            ),
            Row(
                [
                    _spent(inputs, "seconds", "Where the time went"),
                    _spent(inputs, "n_generated_tokens", "Where the tokens went"),
                ]
            ),
            Table("Every stage", header, rows, n_text=2, strong_rows=strong),
        ],
        lead="What was spent, and on what, beside what configuration and prompts said before: rollouts planned, tokens "
        "at most. A stage served from the cache keeps the cost of the run that computed it.",
    )


def _cost_rows(costs: pd.DataFrame, planned: Mapping[str, PlannedCost]) -> list[list[str]]:
    """Return a row a stage, one a purpose, and the total."""
    stages = [str(s) for s in costs["stage"]]
    purposes = [purpose_of(s) for s in stages]
    sums = facts.cost_by_purpose(costs)
    known = [planned[s].n_rollouts for s in stages if s in planned]
    return [
        *(
            _cost_row(s, p, row, planned.get(s))
            for s, p, row in zip(stages, purposes, costs.drop(columns="stage").to_dict("records"), strict=True)
        ),
        *(_cost_row("", f"all {p}", row) for p, row in sums.to_dict("index").items()),
        _cost_row("total", "", sums.sum().to_dict(), n_planned=sum(known) if known else None),
    ]


def _time_said(said: Said, stage: str) -> str:
    return numbers.duration(said.seconds[stage]) if stage in said.seconds else ""


def _said_sentence(inputs: ReportInputs) -> list[str]:
    """Say what the stages took of which `validate --cost` told; nothing where it was not asked."""
    said = inputs.said
    if said is None:
        return []
    known = inputs.costs[inputs.costs["stage"].isin(list(said.seconds))]
    took, told = float(known["seconds"].sum()), sum(said.seconds[str(stage)] for stage in known["stage"])
    price = ""
    if said.per_hour is not None:
        price = f" ({took / 3600 * said.per_hour:,.2f} against {told / 3600 * said.per_hour:,.2f} at the price given)"
    return [
        f"What is sampled and trained took {numbers.duration(took)}; {numbers.duration(told)} were said "
        f"beforehand{price}."
    ]


def _unplanned_sentence(inputs: ReportInputs, planned: Collection[str]) -> list[str]:
    """Say which rollouts nobody planned: their number is not known before the stage has run."""
    costs = inputs.costs[(inputs.costs["n_rollouts"] > 0) & ~inputs.costs["stage"].isin(list(planned))]
    if costs.empty:
        return []
    said = [
        f"{numbers.count(float(n))} by {stage}{_UNPLANNED.get(str(stage), '')}"
        for stage, n in zip(costs["stage"], costs["n_rollouts"], strict=True)
    ]
    return [f"Not planned, but in the total of rollouts: {'; '.join(said)}."]


def _planned(inputs: ReportInputs) -> tuple[PlannedCost, ...]:
    """Return what was known beforehand; the page has the prompts of the test split only."""
    held_out = inputs.test if inputs.config.evaluation.split == "test" else inputs.test.iloc[:0]
    return planned_costs(inputs.config, inputs.train, held_out, inputs.benchmarks_report)


def _cost_row(
    stage: str,
    purpose: str,
    values: Mapping[Hashable, float],
    said: PlannedCost | None = None,
    n_planned: int | None = None,
) -> list[str]:
    rollouts, tokens, prefill = (
        numbers.count(float(values[c])) for c in ("n_rollouts", "n_generated_tokens", "n_prefill_tokens")
    )
    n = said.n_rollouts if said is not None else n_planned
    planned, bound = "" if n is None else numbers.count(n), "" if said is None else numbers.count(said.max_tokens)
    return [stage, purpose, rollouts, planned, tokens, bound, prefill, numbers.duration(float(values["seconds"]))]


def _spent(inputs: ReportInputs, column: str, title: str) -> Figure:
    rows = inputs.costs[inputs.costs[column] > 0]
    purposes = [purpose_of(str(s)) for s in rows["stage"]]
    stacks = [
        (p, [float(v) if q == p else 0.0 for v, q in zip(rows[column], purposes, strict=True)], _PURPOSE_COLOURS[p])
        for p in PURPOSES
        if p in purposes
    ]
    is_time = column == "seconds"
    unit, write = ("seconds", "seconds") if is_time else ("generated tokens", "count")
    chart = bars(title, [str(s) for s in rows["stage"]], stacks, unit, write=write)
    return Figure(title, chart, [(css, name) for name, _, css in stacks])


def _selection_sentence(inputs: ReportInputs) -> str:
    if inputs.training is None:
        return "Training is off: all that was spent prepared the model and selected prompts."
    shares = [
        f"{numbers.percent(facts.selection_share(inputs.costs, column))} of the {name}"
        for column, name in (
            ("seconds", "time"),
            ("n_rollouts", "rollouts"),
            ("n_generated_tokens", "generated tokens"),
        )
    ]
    return (
        f"Selection (SAE, features, probes, clusters, label rollouts, plan) took {shares[0]}, {shares[1]} and "
        f"{shares[2]} that selection and training took together. A fair comparison with another order charges it."
    )


def appendix(inputs: ReportInputs) -> Section:
    """Build the appendix: the command, versions and the resolved configuration."""
    run = inputs.facts
    identity = [
        ["run", run.run_name],
        ["created", run.created_at],
        ["git commit", run.git_sha or numbers.DASH],
        ["plan hash", inputs.plan.plan_hash],
        ["SAE id", inputs.sae.sae_id],
        ["MLflow run", run.mlflow_run or "not tracked"],
    ]
    versions = [[name, version] for name, version in sorted(run.versions.items())]
    config = json.dumps(inputs.config.model_dump(mode="json"), indent=2, ensure_ascii=False)
    blocks: list[Block] = [
        Code("The exact command", run.command),
        Table("Identity", ["what", "value"], identity, n_text=2),
        Table("Versions", ["package", "version"], versions, n_text=2)
        if versions
        else Missing("No versions were recorded."),
        Code("Resolved configuration", config, folded=True),
    ]
    return Section("appendix", "Appendix", blocks, lead="What is needed to run the same thing again.")
