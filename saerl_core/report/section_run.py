"""Sections about the run as a whole: the headline, the cost ledger, the appendix."""

import json

from saerl_core.report import facts, numbers
from saerl_core.report.blocks import Block, Callout, Code, Figure, Missing, Notes, Section, Stat, Stats, Table, Text
from saerl_core.report.charts import bars
from saerl_core.report.inputs import ReportInputs

STAGE_ANCHORS = {
    "prompts": "data",
    "policy": "policy",
    "sae": "sae",
    "features": "sae",
    "quality": "probes",
    "clusters": "clusters",
    "pass_rates": "difficulty",
    "difficulty": "difficulty",
    "plan": "plan",
    "training": "training",
    "evaluation": "evaluation",
}
_PURPOSE_COLOURS = {"setup": "c7", "selection": "c0", "training": "c1", "evaluation": "c2"}


def headline(inputs: ReportInputs) -> Section:
    """Build the part that most readers stop at."""
    blocks: list[Block] = []
    gain = facts.gain_of(inputs)
    if gain is not None:
        blocks.append(Text(facts.gain_sentence(gain), strong=True))
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
    notes = [(r.stage, STAGE_ANCHORS.get(r.stage, ""), note) for r in inputs.stage_reports() for note in r.notes]
    if notes:
        blocks.append(Notes("What the stages want you to know", notes))
    return Section("headline", "What this run did", blocks, lead=what_ran(inputs))


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
    return text + f", trained with {values.algorithm} at {values.group_size} rollouts a prompt ({values.backend} backend)."


def _headline_stats(inputs: ReportInputs, gain: facts.Gain | None) -> list[Stat]:
    costs = inputs.costs
    total = costs[["seconds", "n_rollouts", "n_generated_tokens", "n_prefill_tokens"]].sum()
    by_purpose = facts.cost_by_purpose(costs)
    stats: list[Stat] = []
    if gain is not None:
        error = numbers.fixed(100 * gain.stderr, 1)
        stats.append(Stat(f"{gain.metric} before", numbers.percent(gain.before), f"{gain.n_prompts:,} prompts"))
        stats.append(Stat(f"{gain.metric} after", numbers.percent(gain.after), f"{numbers.points(gain.gain)} ± {error}"))
    selection = numbers.count(float(by_purpose.loc["selection", "n_rollouts"]))
    stats.append(Stat("rollouts", numbers.count(total["n_rollouts"]), f"{selection} of them to choose prompts"))
    tokens = numbers.count(total["n_generated_tokens"])
    stats.append(Stat("generated tokens", tokens, f"{numbers.count(total['n_prefill_tokens'])} prefill tokens"))
    seconds = numbers.duration(float(by_purpose.loc["selection", "seconds"]))
    stats.append(Stat("time", numbers.duration(float(total["seconds"])), f"{seconds} for selection"))
    return stats


def ledger(inputs: ReportInputs) -> Section:
    """Build the cost ledger: every stage, the totals by purpose, the price of selection."""
    costs = inputs.costs
    if costs.empty:
        return Section("costs", "Cost ledger", [Missing("No costs were recorded.")])
    stages = [str(s) for s in costs["stage"]]
    purposes = [facts.purpose_of(s) for s in stages]
    columns = ("n_rollouts", "n_generated_tokens", "n_prefill_tokens")
    rows = [
        [stage, purpose, *(numbers.count(float(row[c])) for c in columns), numbers.duration(float(row["seconds"]))]
        for stage, purpose, (_, row) in zip(stages, purposes, costs.iterrows(), strict=True)
    ]
    sums = facts.cost_by_purpose(costs)
    for purpose in facts.PURPOSES:
        row = sums.loc[purpose]
        rows.append(["", f"all {purpose}", *(numbers.count(float(row[c])) for c in columns), numbers.duration(row["seconds"])])
    total = costs[[*columns, "seconds"]].sum()
    rows.append(["total", "", *(numbers.count(float(total[c])) for c in columns), numbers.duration(float(total["seconds"]))])
    strong = frozenset(range(len(stages), len(rows)))
    stacks = [
        (p, [float(s) if q == p else 0.0 for s, q in zip(costs["seconds"], purposes, strict=True)], _PURPOSE_COLOURS[p])
        for p in facts.PURPOSES
    ]
    chart = bars("seconds per stage", stages, stacks, "seconds", write="seconds")
    header = ["stage", "purpose", "rollouts", "generated tokens", "prefill tokens", "time"]
    return Section(
        "costs",
        "Cost ledger",
        [
            Text(_selection_sentence(inputs)),
            Figure("Where the time went", chart, [(c, p) for p, c in _PURPOSE_COLOURS.items()]),
            Table("Every stage", header, rows, n_text=2, strong_rows=strong),
        ],
        lead="What was spent, and on what. A stage served from the cache keeps the cost of the run that computed it.",
    )


def _selection_sentence(inputs: ReportInputs) -> str:
    if inputs.training is None:
        return "Training is off: all that was spent prepared the model and selected prompts."
    shares = [
        f"{numbers.percent(facts.selection_share(inputs.costs, column))} of the {name}"
        for column, name in (("seconds", "time"), ("n_rollouts", "rollouts"), ("n_generated_tokens", "generated tokens"))
    ]
    return (
        f"Selection (SAE, features, probes, clusters, label rollouts, plan) took {shares[0]}, {shares[1]} and {shares[2]} "
        "that selection and training took together. A fair comparison with another order charges it."
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
