"""Sections about what went in: the data card, the policy, the SAE."""

import re
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from saerl_core.flags import reasons
from saerl_core.report import numbers
from saerl_core.report.blocks import (
    Block,
    Callout,
    Figure,
    Missing,
    Pairs,
    Section,
    Stat,
    Stats,
    Table,
    Text,
    figure_or_missing,
    side_by_side,
)
from saerl_core.report.charts import Series, bars, histogram, lines
from saerl_core.report.dots import Interval, before_after
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.origins import origins

MAX_TOPICS = 20
_MAX_EXAMPLES = 3
_MAX_MATCHES = 12
_MANY_DEAD = 0.3  # share of dead latents from which the page warns
_LOW_EXPLAINED = 0.5  # explained variance below which it does
_PASS_KEY = re.compile(r"^pass(?:@|_at_)(\d+)(?:[_/ ]level[_= ]?(\d+(?:\.\d+)?))?$")


def data_card(inputs: ReportInputs) -> Section:
    """Build the data card: counts, what was odd, contamination with receipts, topics and levels."""
    train = inputs.train
    n_duplicate = int(train["duplicate_of"].notna().sum())
    n_rejected = int(inputs.issues["rejected"].sum()) if len(inputs.issues) else 0
    n_contaminated = int((train["contamination"] >= inputs.config.prompts.coverage_threshold).sum())
    stats = Stats(
        [
            Stat(
                "prompts in the pool", numbers.count(len(train)), f"{numbers.count(int(train['usable'].sum()))} usable"
            ),
            Stat("held-out prompts", numbers.count(len(inputs.test))),
            Stat("rows rejected", numbers.count(n_rejected), "listed below with file and line" if n_rejected else ""),
            Stat("exact duplicates", numbers.count(n_duplicate)),
            Stat("conflicting answers", numbers.count(int(train["conflict"].sum()))),
            Stat("contaminated", numbers.count(n_contaminated), _overlap_words(train)),
        ]
    )
    blocks: list[Block] = [stats]
    blocks.extend(side_by_side(_topics(train), _levels(train), _lengths(train), _truth(train)))
    blocks.append(origins(train))
    blocks.extend(_issues(inputs.issues, inputs.config.prompts.keep_flags))
    blocks.extend(_contamination(inputs))
    blocks.extend(_boilerplate(inputs))
    counts = [[name.replace("_", " "), numbers.count(n)] for name, n in inputs.prompts_report.counts.items()]
    if counts:
        blocks.append(Table("All counts of the loader", ["count", "rows"], counts, folded=True))
    lead = "Nothing is dropped here: a suspicious prompt is marked, and the plan alone leaves it out, with its reason."
    return Section("data", "Data card", blocks, lead=lead)


def _overlap_words(train: pd.DataFrame) -> str:
    n_some = int((train["contamination"] > 0).sum())
    return f"{n_some:,} share some text with an evaluation set" if n_some else ""


def _split_bars(title: str, train: pd.DataFrame, key: "pd.Series[str]", order: list[str]) -> Figure:
    usable = key[train["usable"]].value_counts().reindex(order, fill_value=0)
    marked = key[~train["usable"]].value_counts().reindex(order, fill_value=0)
    stacks = [("usable", [float(v) for v in usable], "c0"), ("not usable", [float(v) for v in marked], "c1")]
    return Figure(title, bars(title, order, stacks, "prompts"), [("c0", "usable"), ("c1", "not usable")])


def _topics(train: pd.DataFrame) -> Figure | Missing:
    if not train["topic"].notna().any():
        return Missing("Topics: the data names no topic, so nothing is drawn by topic.")
    key = train["topic"].fillna("(none)").astype(str)
    ranked = [str(t) for t in key.value_counts().index]
    shown = ranked[:MAX_TOPICS]
    if len(ranked) > MAX_TOPICS:
        key = key.where(key.isin(shown), f"{len(ranked) - MAX_TOPICS} other topics")
        shown = [*shown, f"{len(ranked) - MAX_TOPICS} other topics"]
    return _split_bars("Prompts by topic", train, key, shown)


def _levels(train: pd.DataFrame) -> Figure | Missing:
    if not train["level"].notna().any():
        return Missing("Levels: the data names no level, so nothing is drawn by level.")
    known = sorted(float(v) for v in train["level"].dropna().unique())
    if len(known) > MAX_TOPICS:
        title = "Prompts by level"
        chart = histogram(
            title, [("prompts", list(train["level"].dropna()), "c0")], "level", bounds=(known[0], known[-1])
        )
        return Figure(title, chart)
    key = train["level"].map(lambda v: "(none)" if pd.isna(v) else f"level {v:g}")
    order = [f"level {v:g}" for v in known] + (["(none)"] if train["level"].isna().any() else [])
    return _split_bars("Prompts by level", train, key, order)


def _lengths(train: pd.DataFrame) -> Figure | Missing:
    lengths = [float(v) for v in train["prompt"].str.len()]
    high = float(pd.Series(lengths).quantile(0.99)) if lengths else 1.0
    chart = histogram("prompt length", [("prompts", lengths, "c0")], "characters", bounds=(0.0, max(high, 1.0)))
    caption = "The longest one percent is beyond the right edge. Length is the simplest rival of every probe below."
    return figure_or_missing(Figure("Length of the prompts", chart, caption=caption), "there are no prompts.")


def _truth(train: pd.DataFrame) -> Figure | Missing:
    if not train["truth"].notna().any():
        return Missing("Planted flaws: only the built-in task world knows which prompts are bad; this is other data.")
    counts = train["truth"].fillna("(none)").astype(str).value_counts()
    chart = bars(
        "planted flaws", [str(c) for c in counts.index], [("prompts", [float(c) for c in counts], "c0")], "prompts"
    )
    caption = (
        "The built-in world plants bad prompts on purpose. No stage sees this column; the page uses it to check them."
    )
    return Figure("Planted flaws (the truth)", chart, caption=caption)


def _what_was_done(flag: str, keep_flags: Collection[str]) -> str:
    if reasons([flag], keep_flags):
        return "not used"
    return "used (keep_flags)" if flag in keep_flags else "used, flagged"


def _issues(issues: pd.DataFrame, keep_flags: Collection[str]) -> list[Block]:
    if issues.empty:
        return [Missing("Issues: no row of the input was rejected or suspicious.")]
    rows = []
    for (reason, rejected), group in issues.groupby(["reason", "rejected"], sort=True):
        examples = "; ".join(
            f"{row.file}:{row.line} {numbers.short(str(row.detail), 90)}".rstrip()
            for row in group.head(_MAX_EXAMPLES).itertuples()
        )
        what = "rejected" if rejected else _what_was_done(str(reason), keep_flags)
        rows.append([str(reason), what, examples, numbers.count(len(group))])
    rows.sort(key=lambda r: (-int(r[3].replace(",", "")), r[0]))
    caption = f"At most {_MAX_EXAMPLES} examples a reason; the artifact prompt_issues lists every row."
    return [Table("Issues in the input", ["reason", "what was done", "examples (file:line)", "rows"], rows, 3, caption)]


def _contamination(inputs: ReportInputs) -> list[Block]:
    matches = inputs.matches
    config = inputs.config.prompts
    if matches.empty:
        n_items = inputs.prompts_report.counts.get("n_eval_items", 0)
        if not n_items and not config.decontaminate_against:
            return [
                Missing(
                    "Contamination: not checked, because the run names no evaluation set "
                    "(prompts.decontaminate_against)."
                )
            ]
        how = "is one of" if config.world is not None else "covers any of"
        return [Callout(f"Contamination: no prompt of the pool {how} the {n_items:,} evaluation items.", "good")]
    threshold = config.coverage_threshold
    n_strong = matches.loc[(matches["coverage"] >= threshold) | matches["exact"], "prompt_id"].nunique()
    n_exact = matches.loc[matches["exact"], "prompt_id"].nunique()
    ordered = matches.sort_values(["exact", "coverage", "prompt_id"], ascending=[False, False, True]).head(_MAX_MATCHES)
    items = [
        (
            f"{'exact' if row.exact else numbers.percent(float(str(row.coverage)), 0)}, {row.benchmark} {row.eval_id}",
            numbers.short(str(row.prompt), 420),
            numbers.short(str(row.eval_prompt), 420),
        )
        for row in ordered.itertuples()
    ]
    text = (
        f"{n_strong:,} prompts are covered by an evaluation item to at least {numbers.percent(threshold, 0)} "
        f"({config.ngram_tokens}-gram coverage) or hold one as a whole, {n_exact:,} of them exactly. They are marked, "
        "and the plan leaves them out."
    )
    title = "Contamination, with receipts" + (
        f" (the {len(items)} strongest of {len(matches):,})" if len(matches) > len(items) else ""
    )
    return [Callout(text, "warn" if n_strong else "good"), Pairs(title, "prompt of the pool", "evaluation item", items)]


def _boilerplate(inputs: ReportInputs) -> list[Block]:
    passages = inputs.prompts_report.boilerplate
    if not passages:
        return []
    rows = [
        [
            numbers.short(passage.text, 300),
            numbers.count(passage.n_items),
            "" if passage.n_prompts is None else numbers.count(passage.n_prompts),
        ]
        for passage in passages
    ]
    caption = "Templates and formulas that many problems share. A prompt that holds one of these alone is no leak."
    columns = ["passage, in the words that are compared", "evaluation items", "prompts"]
    return [Table("Set aside when looking for leaks", columns, rows, caption=caption, folded=True)]


def policy(inputs: ReportInputs) -> Section:
    """Build the section on the policy: how it was made, how competent it is before training."""
    config, report = inputs.config.policy, inputs.policy_report
    size = f"A Qwen2-architecture language model (width {config.hidden_size}, {config.n_layers} layers"
    n_steps = _n_steps(inputs)
    n_first = min(config.pretrain_steps, n_steps)
    less = f" (policy.pretrain_steps allowed {config.pretrain_steps:,})" if n_steps < config.pretrain_steps else ""
    how = {
        "task_world": f"{size}) with a character tokenizer, pre-trained in this pipeline for "
        f"{n_first:,} steps and then {n_steps - n_first:,} steps on partly wrong solutions, so that it "
        "knows the format and gets part of the answers right.",
        "text": f"{size}, {config.vocab_size:,} byte-level BPE tokens), pre-trained in this pipeline for "
        f"{n_steps:,} steps on the text of the pool{less}.",
        "pretrained": f"An existing model: {config.model}.",
    }[config.source]
    curve = _loss_figure("Pre-training loss", report.loss_curve, "the policy was not pre-trained here.")
    blocks: list[Block] = [Text(how), *side_by_side(curve, _competence(report.values))]
    return Section(
        "policy", "Policy", blocks, lead="The model before training, whose activations and mistakes steer the plan."
    )


def _n_steps(inputs: ReportInputs) -> int:
    """Return the steps that the pre-training took: the curve ends at the last one; the setting is an upper bound."""
    config, curve = inputs.config.policy, inputs.policy_report.loss_curve
    asked = config.pretrain_steps + (config.sloppy_steps if config.source == "task_world" else 0)
    return curve[-1][0] if curve else asked


def _competence(values: Mapping[str, float]) -> Figure | Missing:
    found: dict[str, dict[int, float]] = {}
    for name, value in values.items():
        match = _PASS_KEY.match(name)
        if match:
            label = f"level {match.group(2)}" if match.group(2) else "all"
            found.setdefault(label, {})[int(match.group(1))] = value
    if not found:
        return Missing("Competence: pass rates of the policy were not measured when it was prepared.")
    labels = sorted(found, key=lambda s: (s != "all", s))
    ks = sorted({k for row in found.values() for k in row})
    low, high = ks[0], ks[-1]
    first = [Interval(found[label][low], 0.0) if low in found[label] else None for label in labels]
    last = [Interval(found[label][high], 0.0) if high in found[label] and high != low else None for label in labels]
    names = (f"pass@{low}", f"pass@{high}")
    chart = before_after("competence", labels, first, last, "share solved", names=names)
    keys = [("c7", names[0])] + ([("c0", names[1])] if high != low else [])
    caption = "The room between the two is what training can harvest: solved sometimes, not always."
    return figure_or_missing(
        Figure("Competence before training", chart, keys, caption), "no finite pass rate was reported."
    )


def _loss_figure(
    title: str, curve: Sequence[tuple[int, float]], why: str, size: tuple[int, int] = (460, 270)
) -> Figure | Missing:
    series = Series("loss", [float(s) for s, _ in curve], [v for _, v in curve], "c0")
    return figure_or_missing(Figure(title, lines(title, [series], "step", size=size)), why)


def sae(inputs: ReportInputs) -> Section:
    """Build the section on the SAE's health."""
    values = inputs.sae_report.values
    facts = inputs.sae
    explained, dead = values.get("explained_variance"), values.get("dead_frac")
    stats = Stats(
        [
            Stat("latents", numbers.count(facts.d_sae), facts.architecture),
            Stat("l0", numbers.number(values.get("l0")), "active latents a token"),
            Stat("explained variance", numbers.percent(explained)),
            Stat("dead latents", numbers.percent(dead)),
            Stat("non-zero a prompt", numbers.number(inputs.features_report.values.get("nnz_per_row"))),
        ]
    )
    where = facts.model or "the policy itself"
    blocks: list[Block] = [
        Text(
            f"SAE {facts.sae_id[:16]} reads {facts.hook_name} of {where}; prompts are pooled by "
            f"{inputs.config.features.pooling}."
        ),
        stats,
    ]
    if dead is not None and dead > _MANY_DEAD:
        blocks.append(Callout(f"{numbers.percent(dead, 0)} of the latents never fire: the SAE is wider than its data."))
    if explained is not None and explained < _LOW_EXPLAINED:
        text = f"The SAE explains only {numbers.percent(explained, 0)} of the variance: read its features with care."
        blocks.append(Callout(text))
    why = "the SAE was loaded, not trained here."
    blocks.append(_loss_figure("SAE training loss", inputs.sae_report.loss_curve, why, (960, 220)))
    rows = [
        [name.replace("_", " "), numbers.number(v)] for name, v in {**values, **inputs.features_report.values}.items()
    ]
    if rows:
        title = "All numbers of the SAE and the extraction"
        blocks.append(Table(title, ["name", "value"], rows, folded=True))
    lead = "The instrument that reads the prompts. A poor SAE makes poor signals."
    return Section("sae", "SAE health", blocks, lead=lead)
