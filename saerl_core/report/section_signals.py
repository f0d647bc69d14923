"""Sections about the signals: the probe tables with their baselines, the clusters."""

import pandas as pd

from saerl_core.named_features import NamedFeatures
from saerl_core.probe_rows import ProbeRow
from saerl_core.records import ClusterCard
from saerl_core.report import facts, numbers
from saerl_core.report.below_cut import worst_prompts
from saerl_core.report.blocks import (
    Block,
    Card,
    Cards,
    Figure,
    Missing,
    Section,
    Stat,
    Stats,
    Table,
    Text,
    figure_or_missing,
    side_by_side,
)
from saerl_core.report.charts import bars
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.maps import cluster_map
from saerl_core.report.named import cluster_chips, what_makes_a_prompt
from saerl_core.report.vega import Chart, colour


def probes(inputs: ReportInputs) -> Section:
    """Build the section that answers whether the SAE's features carry the signals, and whether they must."""
    quality, difficulty = inputs.quality_report, inputs.difficulty_report
    blocks: list[Block] = [Text(v[0].upper() + v[1:], strong=True) for v in facts.sae_verdicts(inputs)]
    if not blocks:
        blocks.append(Missing("The SAE has no baseline to compare with in this run; the notes above say why."))
    label = facts.LABEL_NAMES[difficulty.label]
    title = f"Difficulty probe, out of fold (label: the {label})"
    caption = "Every row is fitted on the same folds and scored on prompts that its fit has not seen."
    blocks.append(_probe_table(title, difficulty.table, caption))
    if difficulty.held_out_table:
        title = "Difficulty probe: on rows it never saw"
        blocks.append(
            _probe_table(
                title, difficulty.held_out_table, "Prompts whose true label is known and was kept from the probe."
            )
        )
    else:
        blocks.append(
            Missing("Held-out rows: no unlabelled row has a known true label, so there is only the out-of-fold table.")
        )
    blocks.append(
        _probe_table("Quality probe, out of fold", quality.table, "Clean prompts of the pool against corrupted ones.")
    )
    blocks.append(worst_prompts(inputs))
    blocks.extend(side_by_side(_by_corruption(inputs), _by_truth(inputs)))
    blocks.extend(what_makes_a_prompt(inputs))
    values = {f"quality: {k}": v for k, v in quality.values.items()} | {
        f"difficulty: {k}": v for k, v in difficulty.values.items()
    }
    rows = [[k.replace("_", " "), numbers.number(v)] for k, v in values.items()]
    if rows:
        blocks.append(Table("All numbers of the probes", ["value", ""], rows, folded=True))
    return Section(
        "probes",
        "Probes: does the SAE matter here?",
        blocks,
        lead="Linear models on SAE features, beside what they must beat.",
    )


def _probe_table(title: str, table: tuple[ProbeRow, ...], caption: str) -> Table | Missing:
    if not table:
        return Missing(f"{title}: no table was reported.")
    metrics = list(dict.fromkeys(m for row in table for m in row.scores))
    rows = [
        [
            facts.FEATURE_NAMES.get(row.features, row.features),
            *(numbers.fixed(row.scores.get(m), 3) for m in metrics),
            f"{row.n:,}",
        ]
        for row in table
    ]
    strong = frozenset(i for i, row in enumerate(table) if row.features == "sae")
    return Table(
        title,
        ["features", *(facts.METRIC_NAMES.get(m, m.replace("auc_", "AUC ").replace("_", " ")) for m in metrics), "n"],
        rows,
        caption=caption,
        strong_rows=strong,
    )


def _by_corruption(inputs: ReportInputs) -> Figure | Missing:
    own = next((row.scores for row in inputs.quality_report.table if row.features == "sae"), {})
    kinds = {k.removeprefix("auc_"): v for k, v in own.items() if k.startswith("auc_")}
    caption = "How well the probe tells clean prompts from each kind of corruption it was trained on; 0.5 is chance."
    figure = Figure("AUC by kind of corruption", _auc_bars("AUC by corruption", kinds, "c0"), caption=caption)
    return figure_or_missing(figure, "the quality labels came from a column, or no probe was fitted.")


def _by_truth(inputs: ReportInputs) -> Figure | Missing:
    values = inputs.quality_report.values
    if "auc_truth" not in values:
        return Missing("AUC against the truth: only the built-in task world knows which prompts are bad.")
    kinds = {k.removeprefix("auc_truth_"): v for k, v in values.items() if k.startswith("auc_truth_")}
    chart = _auc_bars("AUC by planted flaw", {"all planted flaws": values["auc_truth"], **kinds}, "c2")
    caption = (
        "The same score against flaws that the probe was never shown. A wrong key is nearly invisible in the prompt."
    )
    return figure_or_missing(Figure("AUC against the truth", chart, caption=caption), "no AUC is finite.")


def _auc_bars(title: str, values: dict[str, float], css: str) -> Chart:
    labels = [name.replace("_", " ") for name in values]
    stacks = [("AUC", list(values.values()), css)]
    return bars(title, labels, stacks, "AUC", high=1.12, write="number", reference=0.5)


def clusters(inputs: ReportInputs) -> Section:
    """Build the section on clusters: the map, and one card a cluster."""
    report = inputs.clusters_report
    values = report.values
    sizes = inputs.clusters["cluster_id"].value_counts()
    stats = Stats(_cluster_stats(sizes, {} if len(sizes) == 1 else values))
    names = cluster_names(inputs)
    figure = Figure(
        "Map of the clusters",
        cluster_map("clusters", report.map_points, names, _map_texts(inputs)),
        caption="A sample of prompts in two dimensions; colour, shape and number tell the cluster. "
        "Distances between far groups mean little.",
    )
    blocks: list[Block] = [stats, figure_or_missing(figure, "no map was computed.")]
    named = NamedFeatures.of(inputs.feature_names)
    blocks.append(
        Cards([_card(c, inputs, named) for c in report.cards])
        if report.cards
        else Missing("Cards: no cluster was described.")
    )
    lead = "Prompts that the model reads in a similar way, found in SAE space without topics or labels."
    if len(sizes) == 1:
        lead = "All prompts are one cluster here, so that nothing tells it from the pool."
    return Section("clusters", "Clusters", blocks, lead=lead)


def _cluster_stats(sizes: "pd.Series[int]", values: dict[str, float]) -> list[Stat]:
    """Return number and sizes of the clusters, and how good they are; of a single one the latter is not defined."""
    among = f"{sizes.min():,} to {sizes.max():,} prompts" if len(sizes) else ""
    apart, same = "1 is well apart, 0 overlapping", "NMI; 0 none, 1 the same"
    if len(sizes) == 1:
        among, apart, same = f"it holds all {sizes.max():,} prompts", "needs two clusters", "needs two clusters"
    elif len(sizes) and sizes.min() == sizes.max():
        among = f"{sizes.max():,} prompts each"
    return [
        Stat("clusters", numbers.count(len(sizes)), among),
        Stat("silhouette", numbers.fixed(values.get("silhouette")), apart),
        Stat("agreement with topics", numbers.fixed(values.get("nmi_topic")), same),
        Stat("agreement with levels", numbers.fixed(values.get("nmi_level")), same),
    ]


def _map_texts(inputs: ReportInputs) -> list[str]:
    """Return the prompt behind each point of the map."""
    texts = inputs.train.set_index("prompt_id")["prompt"]
    return [str(t) for t in texts.reindex(list(inputs.clusters_report.map_prompts)).fillna("")]


def cluster_names(inputs: ReportInputs) -> dict[int, str]:
    """Return what each cluster is called in tooltips: its number, main topic and size."""
    return {
        c.cluster_id: f"cluster {c.cluster_id}"
        + (f", mainly {numbers.short(c.main_topic, 40)}" if c.main_topic else "")
        + f" ({c.size:,} prompts)"
        for c in inputs.clusters_report.cards
    }


def _card(card: ClusterCard, inputs: ReportInputs, named: NamedFeatures) -> Card:
    members = inputs.clusters.loc[inputs.clusters["cluster_id"] == card.cluster_id, "prompt_id"]
    difficulty = inputs.difficulty.loc[inputs.difficulty["prompt_id"].isin(members), "difficulty"]
    planned = inputs.plan.decisions.loc[inputs.plan.decisions["prompt_id"].isin(members), "planned"]
    known = [("prompts", numbers.count(card.size))]
    known.append(("mean difficulty", numbers.fixed(float(difficulty.mean()) if len(difficulty) else None)))
    known.append(("planned", numbers.percent(float(planned.mean()) if len(planned) else None, 0)))
    title = f"Cluster {card.cluster_id}"
    if card.main_topic:
        title += f": {numbers.short(card.main_topic, 40)} ({numbers.percent(card.main_topic_frac, 0)})"
    examples = [numbers.short(p, 150) for p in card.nearest_prompts[:3]]
    fires = "fires on:" if inputs.feature_names is not None else "strongest latents:"
    if not card.top_features:
        fires = "No latent is stronger here than in the whole pool."
    return Card(title, colour(card.cluster_id), known, cluster_chips(card, named), examples, fires)
