"""Sections about the signals: the probe tables with their baselines, the clusters, the difficulty."""

import numpy as np
import pandas as pd

from saerl_core.records import ClusterCard, ProbeRow
from saerl_core.report import facts, numbers
from saerl_core.report.blocks import (
    Block,
    Card,
    Cards,
    Figure,
    Missing,
    Row,
    Section,
    Stat,
    Stats,
    Table,
    Text,
    figure_or_missing,
)
from saerl_core.report.charts import bars, histogram, scatter
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.maps import cluster_map
from saerl_core.report.svg import colour
from saerl_core.signals.scores import auc

_MAX_SCATTER = 1500
_TREATMENTS = {"spearman": "rank correlation", "spearman_within": "inside clusters", "auc": "AUC", "r2": "R²", "mae": "MAE"}


def probes(inputs: ReportInputs) -> Section:
    """Build the section that answers whether the SAE's features carry the signals, and whether they must."""
    quality, difficulty = inputs.quality_report, inputs.difficulty_report
    blocks: list[Block] = []
    verdicts = [
        ("Difficulty. ", facts.sae_verdict(difficulty.table, "spearman", "Spearman")),
        ("Quality. ", facts.sae_verdict(quality.table, "auc", "AUC")),
    ]
    for name, verdict in verdicts:
        blocks.append(Text(name + verdict, strong=True) if verdict else Missing(f"{name}The SAE has no baseline to compare with."))
    label = difficulty.label.replace("_", " ")
    title = f"Difficulty probe: the measured {label}, out of fold"
    blocks.append(_probe_table(title, difficulty.table, "every row is fitted on the same folds; nothing is scored on rows it has seen"))
    if difficulty.held_out_table:
        title = "Difficulty probe: on rows it never saw"
        blocks.append(_probe_table(title, difficulty.held_out_table, "rows without a label for the probe, whose true label is known"))
    else:
        blocks.append(Missing("Held-out rows: no unlabelled row has a known true label, so there is only the out-of-fold table."))
    blocks.append(_probe_table("Quality probe, out of fold", quality.table, "clean prompts of the pool against corrupted ones"))
    blocks.append(Row([_by_corruption(inputs), _by_truth(inputs)]))
    values = {f"quality: {k}": v for k, v in quality.values.items()} | {f"difficulty: {k}": v for k, v in difficulty.values.items()}
    rows = [[k.replace("_", " "), numbers.number(v)] for k, v in values.items()]
    if rows:
        blocks.append(Table("All numbers of the probes", ["value", ""], rows, folded=True))
    return Section("probes", "Probes: does the SAE matter here?", blocks, lead="Linear models on SAE features, beside what they must beat.")


def _probe_table(title: str, table: tuple[ProbeRow, ...], caption: str) -> Table | Missing:
    if not table:
        return Missing(f"{title}: no table was reported.")
    metrics = list(dict.fromkeys(m for row in table for m in row.scores))
    rows = [
        [facts.FEATURE_NAMES.get(row.features, row.features), *(numbers.fixed(row.scores.get(m), 3) for m in metrics), f"{row.n:,}"]
        for row in table
    ]
    strong = frozenset(i for i, row in enumerate(table) if row.features == "sae")
    return Table(title, ["features", *(_spell(m) for m in metrics), "n"], rows, caption=caption, strong_rows=strong)


def _spell(metric: str) -> str:
    return _TREATMENTS.get(metric, metric.replace("_", " "))


def _by_corruption(inputs: ReportInputs) -> Figure | Missing:
    kinds = {k.removeprefix("auc_"): v for k, v in inputs.quality_report.values.items() if k.startswith("auc_") and "truth" not in k}
    kinds = {k: v for k, v in kinds.items() if k not in facts.FEATURE_NAMES and np.isfinite(v)}
    labels = [k.replace("_", " ") for k in kinds]
    chart = bars("AUC by corruption", labels, [("AUC", list(kinds.values()), "c0")], "AUC", bounds=(0.0, 1.12), write="number", reference=0.5)
    figure = Figure("AUC by kind of corruption", chart, caption="How well the probe tells clean prompts from each kind it was trained on; 0.5 is chance.")
    return figure_or_missing(figure, "the quality labels came from a column, so there are no kinds of corruption.")


def _by_truth(inputs: ReportInputs) -> Figure | Missing:
    truth = inputs.train[["prompt_id", "truth"]].merge(inputs.quality[["prompt_id", "quality_score"]], on="prompt_id")
    truth = truth[truth["truth"].notna()]
    is_clean = (truth["truth"] == "clean").to_numpy()
    if truth.empty or is_clean.all() or not is_clean.any():
        return Missing("AUC against the truth: only the built-in task world knows which prompts are bad.")
    scores = truth["quality_score"].to_numpy(dtype=np.float64)
    kinds = sorted({str(t) for t in truth["truth"]} - {"clean"})
    values = [auc(is_clean[rows], scores[rows]) for rows in [is_clean | (truth["truth"] == kind).to_numpy() for kind in kinds]]
    overall = auc(is_clean, scores)
    labels = ["all planted flaws", *(k.replace("_", " ") for k in kinds)]
    chart = bars("AUC by planted flaw", labels, [("AUC", [overall, *values], "c2")], "AUC", bounds=(0.0, 1.12), write="number", reference=0.5)
    caption = "The same score against flaws the probe was never shown. A wrong key is nearly invisible in the prompt itself."
    return Figure("AUC against the truth", chart, caption=caption)


def clusters(inputs: ReportInputs) -> Section:
    """Build the section on clusters: the map, and one card a cluster."""
    report = inputs.clusters_report
    values = report.values
    sizes = inputs.clusters["cluster_id"].value_counts()
    stats = Stats(
        [
            Stat("clusters", numbers.count(len(sizes)), f"{sizes.min():,} to {sizes.max():,} prompts" if len(sizes) else ""),
            Stat("silhouette", numbers.fixed(values.get("silhouette")), "1 is well apart, 0 overlapping"),
            Stat("agreement with topics", numbers.fixed(values.get("nmi_topic")), "NMI; 0 none, 1 the same"),
            Stat("agreement with levels", numbers.fixed(values.get("nmi_level")), "NMI; 0 none, 1 the same"),
        ]
    )
    names = cluster_names(inputs)
    figure = Figure(
        "Map of the clusters",
        cluster_map("clusters", report.map_points, names),
        caption="A sample of prompts in two dimensions; colour, shape and number tell the cluster. Distances between far groups mean little.",
    )
    blocks: list[Block] = [stats, figure_or_missing(figure, "no map was computed.")]
    blocks.append(Cards([_card(c, inputs) for c in report.cards]) if report.cards else Missing("Cards: no cluster was described."))
    return Section("clusters", "Clusters", blocks, lead="Prompts that the model reads in a similar way, found in SAE space without topics or labels.")


def cluster_names(inputs: ReportInputs) -> dict[int, str]:
    """Return what each cluster is called in tooltips: its number, main topic and size."""
    return {
        c.cluster_id: f"cluster {c.cluster_id}" + (f", mainly {numbers.short(c.main_topic, 40)}" if c.main_topic else "") + f" ({c.size:,} prompts)"
        for c in inputs.clusters_report.cards
    }


def _card(card: ClusterCard, inputs: ReportInputs) -> Card:
    members = inputs.clusters.loc[inputs.clusters["cluster_id"] == card.cluster_id, "prompt_id"]
    difficulty = inputs.difficulty.loc[inputs.difficulty["prompt_id"].isin(members), "difficulty"]
    planned = inputs.plan.decisions.loc[inputs.plan.decisions["prompt_id"].isin(members), "planned"]
    known = [("prompts", numbers.count(card.size))]
    if card.main_topic:
        known.append(("main topic", f"{numbers.short(card.main_topic, 40)} ({numbers.percent(card.main_topic_frac, 0)})"))
    known.append(("mean difficulty", numbers.fixed(float(difficulty.mean()) if len(difficulty) else None)))
    known.append(("planned", numbers.percent(float(planned.mean()) if len(planned) else None, 0)))
    chips = [f"#{latent} ×{numbers.number(lift, 2)}" for latent, lift in card.top_features[:6]]
    examples = [numbers.short(p, 150) for p in card.nearest_prompts[:3]]
    return Card(f"Cluster {card.cluster_id}", colour(card.cluster_id), known, chips, examples)


def difficulty(inputs: ReportInputs) -> Section:
    """Build the section on difficulty: what was measured, what was predicted, and how the two agree."""
    table = inputs.difficulty
    label = inputs.difficulty_report.label.replace("_", " ")
    measured = table[table["is_labelled"]]
    groups = [("predicted, whole pool", list(table["predicted"]), "c0"), (f"from the {label}, labelled prompts", list(measured["difficulty"]), "c1")]
    groups = [g for g in groups if g[1]]
    chart = histogram("difficulty", groups, "difficulty (1 = never solved)", bounds=(0.0, 1.0))
    histogram_figure = Figure("Distribution", chart, [(css, f"{name} (n = {len(v):,})") for name, v, css in groups])
    blocks: list[Block] = []
    words = _pass_rate_words(inputs)
    if words:
        blocks.append(Text(words, strong=True))
    else:
        blocks.append(Missing(f"Pass rates: no rollouts were spent on labels in this run; difficulty comes from the {label}."))
    blocks.append(Row([figure_or_missing(histogram_figure, "no difficulty was predicted."), _agreement(inputs, measured, label)]))
    return Section("difficulty", "Difficulty", blocks, lead="difficulty = 1 − pass rate. Measured on a labelled subset, predicted for all; a measured prompt keeps its measurement.")


def _agreement(inputs: ReportInputs, measured: pd.DataFrame, label: str) -> Figure | Missing:
    rows = measured.dropna(subset=["predicted", "difficulty"]).sort_values("prompt_id")
    rows = rows.iloc[:: max(1, -(-len(rows) // _MAX_SCATTER))]
    texts = inputs.train.set_index("prompt_id")["prompt"].reindex(rows["prompt_id"]).fillna("")
    points = [
        (float(p), float(d), f"{numbers.short(str(t), 80)} — predicted {p:.2f}, measured {d:.2f}")
        for p, d, t in zip(rows["predicted"], rows["difficulty"], texts, strict=True)
    ]
    curve = _bin_means(rows["predicted"].to_numpy(), rows["difficulty"].to_numpy())
    chart = scatter("predicted and measured", points, "predicted (out of fold)", f"from the {label}", curve=curve)
    keys = [("c0", "one prompt"), ("c1", "mean of each fifth"), ("mute", "prediction = measurement")]
    return figure_or_missing(Figure("Predicted against measured", chart, keys), "no prompt has a measured difficulty.")


def _bin_means(x: np.ndarray, y: np.ndarray, n_bins: int = 5) -> list[tuple[float, float]]:
    """Return (mean x, mean y) of bins of equal count along x; none with fewer than four points a bin."""
    if len(x) < 4 * n_bins:
        return []
    parts = np.array_split(np.argsort(x, kind="stable"), n_bins)
    return [(float(x[p].mean()), float(y[p].mean())) for p in parts]


def _pass_rate_words(inputs: ReportInputs) -> str:
    rates = inputs.pass_rates
    if rates is None or rates.empty:
        return ""
    wrong, right = float((rates["n_correct"] == 0).mean()), float((rates["n_correct"] == rates["n_rollouts"]).mean())
    n_band = int(inputs.difficulty["difficulty"].between(0.2, 0.8).sum())
    text = (
        f"{len(rates):,} labelled prompts, {int(rates['n_rollouts'].sum()):,} graded rollouts: {numbers.percent(wrong, 0)} never solved, "
        f"{numbers.percent(right, 0)} always, mean pass rate {numbers.percent(float(rates['pass_rate'].mean()), 0)}. By prediction "
        f"{n_band:,} of {len(inputs.difficulty):,} prompts lie in the band of 20 to 80 % that teaches most."
    )
    n_unknown = int(rates["n_unknown"].sum())
    return text + (f" {n_unknown:,} answers could not be graded; they count as neither right nor wrong." if n_unknown else "")
