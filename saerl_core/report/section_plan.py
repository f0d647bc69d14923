"""Sections about the order and what it did: the plan, the training curves, the evaluation."""

import math

import pandas as pd

from saerl_core.report import facts, numbers
from saerl_core.report.blocks import Block, Callout, Figure, Missing, Row, Section, Stat, Stats, Table, Text, figure_or_missing
from saerl_core.report.charts import Interval, Series, before_after, lines
from saerl_core.report.inputs import ReportInputs, TrainingFacts
from saerl_core.report.maps import plan_clusters, plan_difficulty
from saerl_core.report.section_signals import cluster_names

_MAX_REASONS = 20
_MAX_SLICES = 24
_UNIT = (0.0, 1.0)


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
    lead = f"Strategy {order.strategy}: which prompts in which batch, in which order. Hash {order.plan_hash}."
    return Section("plan", "The plan", blocks, lead=lead)


def _drawn(inputs: ReportInputs) -> list[Block]:
    table = inputs.plan.table
    blocks: list[Block] = []
    if (table["cluster_id"] < 0).all():
        blocks.append(Missing(f"Clusters over steps: strategy {inputs.plan.strategy} does not use clusters."))
    else:
        chart = plan_clusters("clusters over steps", table, cluster_names(inputs))
        caption = "One row a cluster, one column a step: the fuller the colour, the larger the cluster's share of the batch."
        blocks.append(Figure("Clusters over steps", chart, caption=caption))
    observed = observed_difficulty(inputs.training.consumed) if inputs.training else None
    keys = [("c0", "planned: mean and range of the batch")]
    caption = "A static plan is made before training; where the policy learns, what it then gets wrong falls below the plan."
    if observed is not None:
        keys.append(("c1", "share of rollouts that were wrong in training"))
    chart = plan_difficulty("difficulty over steps", table, observed)
    blocks.append(Figure("Difficulty over steps", chart, keys, caption if observed is not None else ""))
    mixed = table.groupby("step")["is_mixed"].mean()
    series = Series("share exchanged", [float(s) for s in mixed.index], list(mixed), "c4")
    if mixed.any():
        blocks.append(Figure("Share of each batch exchanged with its neighbours", lines("mixing", [series], "step", y_range=(0.0, None))))
    else:
        blocks.append(Missing("Mixing: no slot was exchanged between neighbouring batches."))
    return blocks


def observed_difficulty(consumed: pd.DataFrame) -> pd.DataFrame:
    """Return the columns step and wrong: the share of graded rollouts of that step that were not correct."""
    sums = consumed.groupby("step")[["n_rollouts", "n_correct"]].sum()
    return pd.DataFrame({"step": sums.index, "wrong": 1 - sums["n_correct"] / sums["n_rollouts"]}).reset_index(drop=True)


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
    return Table("What became of every prompt", ["reason", "examples", "prompts", "share"], rows, n_text=2, caption=caption)


def training(inputs: ReportInputs) -> Section:
    """Build the section on training: curves by step, dead groups, truncation."""
    if inputs.training is None:
        why = "Training is off in this run (training.enabled: false): there are no curves, and no cost of training."
        return Section("training", "Training", [Missing(why)])
    run, config = inputs.training, inputs.config.training
    log = run.log.sort_values("step")
    blocks: list[Block] = []
    proof = facts.order_proof(inputs)
    if proof is not None:
        blocks.append(Callout(facts.order_sentence(proof), "good" if proof.holds else "bad"))
    resumed = run.report.values.get("resumed_from_step", math.nan)
    if math.isfinite(resumed) and resumed > 0:
        blocks.append(Text(f"The run was interrupted and resumed at step {resumed:.0f}; nothing was repeated or skipped."))
    if log.empty:
        return Section("training", "Training", [*blocks, Missing("The training log is empty: no step was finished.")])
    blocks.append(Text(_dead_words(run)))
    blocks.append(Row([_curve(log, "reward_mean", "Mean reward", "c0"), _dead_groups(run)]))
    blocks.append(Row([_curve(log, "entropy", "Entropy of the policy", "c2"), _curve(log, "kl", "KL to the base policy", "c3")]))
    blocks.append(Row([_curve(log, "completion_tokens_mean", "Completion length", "c4", "tokens"), _curve(log, "truncated_frac", "Truncated completions", "c6")]))
    blocks.append(Row([_curve(log, "grad_norm", "Gradient norm", "c5"), _curve(log, "step_s", "Time of a step", "c7", "seconds")]))
    lead = (
        f"{config.algorithm} on the {config.backend} backend: {config.group_size} rollouts a prompt, learning rate {config.lr:g}, "
        f"KL coefficient {config.kl_coef:g}. Pale lines are single steps, full lines their running mean."
    )
    return Section("training", "Training", blocks, lead=lead)


def _curve(log: pd.DataFrame, column: str, title: str, css: str, unit: str = "") -> Figure | Missing:
    series = Series(title, [float(s) for s in log["step"]], [float(v) for v in log[column]], css)
    low = 0.0 if float(log[column].min()) >= 0 else None
    chart = lines(title, [series], "step", y_label=unit, y_range=(low, None), smooth=5)
    return figure_or_missing(Figure(title, chart), "the backend did not report it.")


def _dead_groups(run: TrainingFacts) -> Figure | Missing:
    parts = _group_kinds(run.consumed)
    steps = [float(s) for s in parts.index]
    series = [
        Series("all wrong", steps, list(parts["all_wrong"]), "c1"),
        Series("all right", steps, list(parts["all_right"]), "c2"),
        Series("no reward difference", [float(s) for s in run.log["step"]], [float(v) for v in run.log["zero_std_frac"]], "c7"),
    ]
    chart = lines("groups without signal", series, "step", y_range=(0.0, 1.0), smooth=5)
    return Figure("Groups that teach nothing (zero variance)", chart, [(s.css, s.name) for s in series])


def _group_kinds(consumed: pd.DataFrame) -> pd.DataFrame:
    kinds = pd.DataFrame(
        {
            "step": consumed["step"],
            "all_wrong": consumed["n_correct"] == 0,
            "all_right": consumed["n_correct"] == consumed["n_rollouts"],
        }
    )
    return kinds.groupby("step").mean()


def _dead_words(run: TrainingFacts) -> str:
    kinds = _group_kinds(run.consumed)
    log = run.log
    return (
        f"Over {len(log):,} steps and {numbers.count(float(log['n_rollouts_total'].max()))} rollouts, "
        f"{numbers.percent(float(log['zero_std_frac'].mean()), 0)} of the groups had no difference in reward and taught nothing: "
        f"{numbers.percent(float(kinds['all_wrong'].mean()), 0)} all wrong, {numbers.percent(float(kinds['all_right'].mean()), 0)} all right. "
        f"{numbers.percent(float(log['truncated_frac'].mean()))} of the completions were cut at the length limit."
    )


def evaluation(inputs: ReportInputs) -> Section:
    """Build the section on the evaluation: before and after, overall and by slice, with standard errors."""
    scores = inputs.scores
    if scores is None or scores.empty:
        why = (
            "Evaluation is off in this run (evaluation.enabled: false)."
            if not inputs.config.evaluation.enabled
            else "There was nothing to evaluate: the data has no held-out split (prompts.eval_path)."
        )
        return Section("evaluation", "Evaluation", [Missing(why)])
    blocks: list[Block] = []
    gain = facts.gain_of(inputs)
    if gain is not None:
        blocks.append(Text(facts.gain_sentence(gain), strong=True))
    elif "after" not in set(scores["policy"]):
        blocks.append(Missing("Only the policy before training was evaluated, because nothing was trained."))
    for benchmark in sorted(scores["benchmark"].unique()):
        rows = scores[scores["benchmark"] == benchmark]
        figures = [_slices(rows, metric) for metric in sorted(rows["metric"].unique(), key=_k_of)]
        blocks.append(Row(figures))
    blocks.append(_score_table(scores))
    if not scores["slice"].astype(str).str.startswith("topic=").any():
        blocks.append(Missing("By topic: the held-out prompts name no topic."))
    config = inputs.config.evaluation
    lead = f"{config.n_samples} completions a prompt at temperature {config.temperature:g} on the {config.split} split. Whiskers are one standard error."
    return Section("evaluation", "Evaluation", blocks, lead=lead)


def _slices(rows: pd.DataFrame, metric: str) -> Figure | Missing:
    rows = rows[rows["metric"] == metric]
    slices = sorted({str(s) for s in rows["slice"]}, key=_slice_order)
    shown = slices[:_MAX_SLICES]
    table = rows.set_index(["policy", "slice"])
    found = {
        policy: [
            Interval(float(table.loc[(policy, s), "value"]), float(table.loc[(policy, s), "stderr"])) if (policy, s) in table.index else None
            for s in shown
        ]
        for policy in ("before", "after")
    }
    chart = before_after(metric, [s.replace("=", " ") for s in shown], found["before"], found["after"], metric)
    caption = f"{len(slices) - len(shown)} more slices are in the table." if len(slices) > len(shown) else ""
    return figure_or_missing(Figure(f"{metric} before and after", chart, [("c7", "before"), ("c0", "after")], caption), "no score is finite.")


def _score_table(scores: pd.DataFrame) -> Table:
    wide = scores.set_index(["benchmark", "metric", "slice", "policy"])[["value", "stderr", "n_prompts"]].unstack("policy")
    rows = []
    ordered = sorted(wide.index, key=lambda i: (str(i[0]), _k_of(str(i[1])), _slice_order(str(i[2]))))
    for key in ordered:
        row = wide.loc[key]
        cells = {(str(a), str(b)): float(v) for (a, b), v in row.items()}
        old, new = cells.get(("value", "before"), math.nan), cells.get(("value", "after"), math.nan)
        texts = [_with_error(cells.get(("value", p), math.nan), cells.get(("stderr", p), math.nan)) for p in ("before", "after")]
        n = max(cells.get(("n_prompts", p), math.nan) for p in ("before", "after") if math.isfinite(cells.get(("n_prompts", p), math.nan)))
        rows.append([*map(str, key), *texts, numbers.points(new - old), numbers.count(n)])
    header = ["benchmark", "metric", "slice", "before", "after", "points", "prompts"]
    return Table("All scores", header, rows, n_text=3, folded=len(rows) > 12)


def _with_error(value: float, stderr: float) -> str:
    return f"{numbers.percent(value)} ± {numbers.fixed(100 * stderr, 1)}" if math.isfinite(value) else numbers.DASH


def _k_of(metric: str) -> tuple[int, str]:
    digits = "".join(c for c in metric if c.isdigit())
    return (int(digits) if digits else 0, metric)


def _slice_order(name: str) -> tuple[int, str]:
    return (0 if name == "all" else 1 if name.startswith("level") else 2, name)
