"""Sections about what the order did: the training curves, the evaluation before and after."""

import math

import pandas as pd

from saerl_core.algorithms import ALGORITHMS
from saerl_core.config.run import MEAN_BENCHMARK, EvaluationConfig
from saerl_core.report import facts, numbers
from saerl_core.report.blocks import (
    Block,
    Callout,
    Figure,
    Missing,
    Section,
    Table,
    Text,
    figure_or_missing,
    side_by_side,
)
from saerl_core.report.charts import Series, lines
from saerl_core.report.dots import Interval, before_after
from saerl_core.report.inputs import ReportInputs, TrainingFacts
from saerl_core.report.section_forecasts import forecast_blocks
from saerl_core.report.trained import trained_figure
from saerl_core.report.watched import watched
from saerl_core.trained_on import trained_on

_MAX_SLICES = 24
_CURVES = (  # column of the log, title, colour, unit
    ("entropy", "Entropy of the policy", "c2", ""),
    ("kl", "KL to the base policy", "c3", ""),
    ("completion_tokens_mean", "Completion length", "c4", "tokens"),
    ("truncated_frac", "Truncated completions", "c6", ""),
    ("grad_norm", "Gradient norm", "c5", ""),
    ("step_s", "Time of a step", "c7", "seconds"),
)


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
        blocks.append(
            Text(f"The run was interrupted and resumed at step {resumed:.0f}; nothing was repeated or skipped.")
        )
    if log.empty:
        return Section("training", "Training", [*blocks, Missing("The training log is empty: no step was finished.")])
    blocks.append(Text(_dead_words(run)))
    curves = [_curve(log, *curve) for curve in _CURVES]
    blocks.extend(side_by_side(_reward(inputs, log), _dead_groups(run), *curves))
    over_time = trained_on(run.consumed, inputs.train)
    drawn = [trained_figure(over_time, kind, f"Trained on, by {kind}") for kind in ("level", "topic")]
    blocks.extend(side_by_side(*(figure for figure in drawn if figure is not None)))
    blocks.extend(forecast_blocks(run, inputs.train))
    lead = (
        f"{ALGORITHMS[config.algorithm].title} on the {config.backend} backend: {config.group_size} rollouts a prompt, "
        f"learning rate {config.lr:g}, "
        f"KL coefficient {config.kl_coef:g}. Pale lines are single steps, full lines their running mean."
    )
    return Section("training", "Training", blocks, lead=lead)


def _curve(log: pd.DataFrame, column: str, title: str, css: str, unit: str = "", caption: str = "") -> Figure | Missing:
    series = Series(title, [float(s) for s in log["step"]], [float(v) for v in log[column]], css)
    why = "the backend did not report it" + (" (it is not computed at KL coefficient 0)." if column == "kl" else ".")
    low = 0.0 if float(log[column].min()) >= 0 else None
    chart = lines(
        title, [series], "step", y_label=unit, y_range=(low, None), smooth=5, as_share=column.endswith("_frac")
    )
    return figure_or_missing(Figure(title, chart, caption=caption), why)


def _reward(inputs: ReportInputs, log: pd.DataFrame) -> Figure | Missing:
    gets_harder = inputs.plan_report.values.get("difficulty_trend", 0.0) > 0.3
    caption = (
        "The batches get harder from step to step, so this can fall while the policy improves." if gets_harder else ""
    )
    return _curve(log, "reward_mean", "Mean reward", "c0", caption=caption)


def _dead_groups(run: TrainingFacts) -> Figure | Missing:
    parts = _group_kinds(run.consumed)
    steps = [float(s) for s in parts.index]
    series = [
        Series("all wrong", steps, list(parts["all_wrong"]), "c1"),
        Series("all right", steps, list(parts["all_right"]), "c2"),
        Series(
            "no reward difference",
            [float(s) for s in run.log["step"]],
            [float(v) for v in run.log["zero_std_frac"]],
            "c7",
        ),
    ]
    chart = lines("groups without signal", series, "step", y_range=(0.0, 1.0), smooth=5, as_share=True)
    return Figure("Groups that teach nothing (zero variance)", chart, [(s.css, s.name) for s in series])


def _group_kinds(consumed: pd.DataFrame) -> pd.DataFrame:
    kinds = pd.DataFrame(
        {
            "step": consumed["update"],
            "all_wrong": consumed["n_correct"] == 0,
            "all_right": consumed["n_correct"] == consumed["n_rollouts"],
        }
    )
    return kinds.groupby("step").mean()


def _dead_words(run: TrainingFacts) -> str:
    kinds = _group_kinds(run.consumed).mean()
    log = run.log
    wrong, right = numbers.percent(float(kinds["all_wrong"]), 0), numbers.percent(float(kinds["all_right"]), 0)
    dead, cut = (
        numbers.percent(float(log["zero_std_frac"].mean()), 0),
        numbers.percent(float(log["truncated_frac"].mean())),
    )
    n_out = int((~run.consumed["is_trained"]).sum())
    screened = (
        f" {n_out:,} of {len(run.consumed):,} groups were sampled and screened: counted, seen by the curriculum, and "
        "not trained on."
        if n_out
        else ""
    )
    return (
        f"Over {len(log):,} steps and {numbers.count(float(log['n_rollouts_total'].max()))} rollouts, "
        f"{dead} of the groups had no difference in reward and taught nothing: {wrong} all wrong, {right} all right. "
        f"{cut} of the completions were cut at the length limit."
        f"{screened}"
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
    named = {b.name for b in inputs.config.evaluation.benchmarks}
    for benchmark in sorted(set(scores["benchmark"]) - {MEAN_BENCHMARK}):
        rows = scores[scores["benchmark"] == benchmark]
        metrics = sorted((m for m in rows["metric"].unique() if not m.startswith("avg@")), key=_k_of)
        prefix = f"{benchmark}: " if benchmark in named else ""
        blocks.extend(side_by_side(*(_slices(rows, metric, prefix) for metric in metrics)))
    blocks.append(_score_table(scores, inputs.control.scores if inputs.control else None))
    if not scores["slice"].astype(str).str.startswith("topic=").any():
        blocks.append(Missing("By topic: the held-out prompts name no topic."))
    blocks.extend(watched(inputs))
    return Section("evaluation", "Evaluation", blocks, lead=_how_evaluated(inputs.config.evaluation))


def _how_evaluated(config: EvaluationConfig) -> str:
    drawn = f"at temperature {config.temperature:g}" + (f" and top-p {config.top_p:g}" if config.top_p < 1 else "")
    if not config.benchmarks:
        where = f"{config.n_samples} completions a prompt {drawn} on the {config.split} split."
        return f"{where} Whiskers are one standard error."
    each = ", ".join(f"{b.name} {b.n_samples or config.n_samples}" for b in config.benchmarks)
    return (
        f"Completions a prompt, {drawn}: {each}. avg@k is the mean accuracy over k completions a prompt, which is what "
        "pass@1 estimates from them. All benchmarks count alike in their mean. Whiskers are one standard error."
    )


def _slices(rows: pd.DataFrame, metric: str, prefix: str = "") -> Figure | Missing:
    rows = rows[rows["metric"] == metric]
    slices = sorted({str(s) for s in rows["slice"]}, key=_slice_order)
    shown = slices[:_MAX_SLICES]
    table = {(str(r["policy"]), str(r["slice"])): Interval(r["value"], r["stderr"]) for r in rows.to_dict("records")}
    found = {policy: [table.get((policy, s)) for s in shown] for policy in ("before", "after")}
    chart = before_after(metric, [s.replace("=", " ") for s in shown], found["before"], found["after"], metric)
    caption = f"{len(slices) - len(shown)} more slices are in the table." if len(slices) > len(shown) else ""
    return figure_or_missing(
        Figure(f"{prefix}{metric} before and after", chart, [("c7", "before"), ("c0", "after")], caption),
        "no score is finite.",
    )


def _score_table(scores: pd.DataFrame, control: pd.DataFrame | None) -> Table:
    policies = ["before", "after"] if control is None else ["before", "after", "control"]
    scores = scores if control is None else pd.concat([scores, control], ignore_index=True)
    wide = scores.set_index(["benchmark", "metric", "slice", "policy"])[["value", "stderr", "n_prompts"]].unstack(
        "policy"
    )
    rows = []
    ordered = sorted(wide.index, key=lambda i: (str(i[0]), _k_of(str(i[1])), _slice_order(str(i[2]))))
    for key in ordered:
        row = wide.loc[key]
        cells = {(str(a), str(b)): float(v) for (a, b), v in row.items()}
        old, new = cells.get(("value", "before"), math.nan), cells.get(("value", "after"), math.nan)
        texts = [_with_error(cells.get(("value", p), math.nan), cells.get(("stderr", p), math.nan)) for p in policies]
        n = max(
            cells.get(("n_prompts", p), math.nan)
            for p in policies
            if math.isfinite(cells.get(("n_prompts", p), math.nan))
        )
        rows.append([*map(str, key), *texts, numbers.points(new - old), numbers.count(n)])
    header = [
        "benchmark",
        "metric",
        "slice",
        *("shuffle" if p == "control" else p for p in policies),
        "points",
        "prompts",
    ]
    return Table("All scores", header, rows, n_text=3, folded=len(rows) > 12)


def _with_error(value: float, stderr: float) -> str:
    return f"{numbers.percent(value)} ± {numbers.fixed(100 * stderr, 1)}" if math.isfinite(value) else numbers.DASH


def _k_of(metric: str) -> tuple[int, str]:
    digits = "".join(c for c in metric if c.isdigit())
    return (int(digits) if digits else 0, metric)


def _slice_order(name: str) -> tuple[int, str]:
    return (0 if name == "all" else 1 if name.startswith("level") else 2, name)
