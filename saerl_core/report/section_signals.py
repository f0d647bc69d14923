"""Sections about the signals: the probe tables with their baselines, the clusters, the difficulty."""

import numpy as np
import pandas as pd

from saerl_core.named_features import NamedFeatures
from saerl_core.probe_rows import ProbeRow
from saerl_core.records import ClusterCard
from saerl_core.report import facts, numbers
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
from saerl_core.report.charts import bars, histogram
from saerl_core.report.dots import scatter
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.maps import cluster_map
from saerl_core.report.named import cluster_chips, what_makes_a_prompt
from saerl_core.report.section_advice import advice_blocks
from saerl_core.report.vega import Chart, colour

_MAX_SCATTER = 1500
_MAX_BINS = 20


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
    blocks.append(_worst_prompts(inputs))
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


def _worst_prompts(inputs: ReportInputs) -> Table | Missing:
    """Show the prompts of the lowest quality scores, so that a person can judge what would be left out."""
    worst = inputs.quality_report.worst
    if not worst:
        return Missing("The prompts of the lowest scores: no quality probe was fitted.")
    texts = inputs.train.set_index("prompt_id")["prompt"]
    rows = [
        [
            numbers.short(str(texts.get(w.prompt_id, w.prompt_id)), 160),
            numbers.fixed(w.score, 3),
            numbers.percent(w.broken, 0),
            "kept" if w.kept else "left out",
        ]
        for w in worst
    ]
    share = numbers.percent(inputs.quality_report.values.get("drop_frac"))
    return Table(
        f"The {len(worst)} usable prompts of the lowest quality scores",
        ["prompt", "score", "probably broken", ""],
        rows,
        caption=f"{share} of the usable prompts fall below the cut; the notes say which cut, and on what it rests.",
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
    stats = Stats(
        [
            Stat(
                "clusters",
                numbers.count(len(sizes)),
                f"{sizes.min():,} to {sizes.max():,} prompts" if len(sizes) else "",
            ),
            Stat("silhouette", numbers.fixed(values.get("silhouette")), "1 is well apart, 0 overlapping"),
            Stat("agreement with topics", numbers.fixed(values.get("nmi_topic")), "NMI; 0 none, 1 the same"),
            Stat("agreement with levels", numbers.fixed(values.get("nmi_level")), "NMI; 0 none, 1 the same"),
        ]
    )
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
    return Section(
        "clusters",
        "Clusters",
        blocks,
        lead="Prompts that the model reads in a similar way, found in SAE space without topics or labels.",
    )


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
    return Card(title, colour(card.cluster_id), known, cluster_chips(card, named), examples, fires)


def difficulty(inputs: ReportInputs) -> Section:
    """Build the section on difficulty: what was measured, what was predicted, and how the two agree."""
    table = inputs.difficulty
    label = facts.LABEL_NAMES[inputs.difficulty_report.label]
    measured = table[table["is_labelled"]]
    found = [
        ("predicted, whole pool", list(table["predicted"]), "c0"),
        (f"from the {label}, labelled prompts", list(measured["difficulty"]), "c1"),
    ]
    groups = [g for g in found if g[1]]
    n_bins = _n_bins(inputs, measured)
    chart = histogram("difficulty", groups, "difficulty (1 is hardest)", bounds=(0.0, 1.0), n_bins=n_bins)
    keys = [(css, f"{name} (n = {len(v):,})") for name, v, css in groups]
    shape = figure_or_missing(Figure("Distribution", chart, keys), "no difficulty was predicted.")
    words = _pass_rate_words(inputs)
    why = f"Pass rates: no rollouts were spent on labels in this run; difficulty comes from the {label}."
    blocks: list[Block] = [Text(words, strong=True) if words else Missing(why)]
    blocks.extend(side_by_side(shape, _agreement(inputs, measured, label)))
    blocks.extend(advice_blocks(inputs))
    lead = (
        f"0 is easy, 1 is hard, from the {label}: known for {len(measured):,} labelled prompts, predicted for all "
        f"{len(table):,}. A labelled prompt keeps its label."
    )
    return Section("difficulty", "Difficulty", blocks, lead=lead)


def _n_bins(inputs: ReportInputs, measured: pd.DataFrame) -> int:
    """Return so many bins that each possible label has its own: k of n rollouts falls in bin k of n + 1."""
    if inputs.pass_rates is not None and len(inputs.pass_rates):
        return min(_MAX_BINS, int(inputs.pass_rates["n_rollouts"].max()) + 1)
    n_labels = int(measured["difficulty"].nunique())
    return n_labels if 3 <= n_labels <= _MAX_BINS else _MAX_BINS


def _agreement(inputs: ReportInputs, measured: pd.DataFrame, label: str) -> Figure | Missing:
    rows = measured.dropna(subset=["predicted", "difficulty"]).sort_values("prompt_id")
    rows = rows.iloc[:: max(1, -(-len(rows) // _MAX_SCATTER))]
    texts = inputs.train.set_index("prompt_id")["prompt"].reindex(rows["prompt_id"]).fillna("")
    points = [
        (float(p), float(d), str(t)) for p, d, t in zip(rows["predicted"], rows["difficulty"], texts, strict=True)
    ]
    curve = _bin_means(rows["predicted"].to_numpy(), rows["difficulty"].to_numpy())
    chart = scatter("predicted and measured", points, "predicted (label not seen)", f"from the {label}", curve=curve)
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
        f"{len(rates):,} labelled prompts, {int(rates['n_rollouts'].sum()):,} graded rollouts: "
        f"{numbers.percent(wrong, 0)} never solved, {numbers.percent(right, 0)} always, mean pass rate "
        f"{numbers.percent(float(rates['pass_rate'].mean()), 0)}. By prediction "
        f"{n_band:,} of {len(inputs.difficulty):,} prompts lie in the band of 20 to 80 % that teaches most."
    )
    n_unknown = int(rates["n_unknown"].sum())
    return text + (
        f" {n_unknown:,} answers could not be graded; they count as neither right nor wrong." if n_unknown else ""
    )
