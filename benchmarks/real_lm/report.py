"""The tables of docs/real_model.md, from the results alone."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.microcosm.run import read_lines as all_lines
from benchmarks.real_lm.signals import read_lines
from benchmarks.real_lm.throughput import RESULTS as SPEED
from benchmarks.real_lm.train import budget_of, lines_of_this_pool, trials
from saerl_core.compare.statistics import compare_trials, sentence

PAGE = Path(__file__).resolve().parents[2] / "docs" / "real_model.md"
FEATURES = ("sae", "dense", "random_sae", "tfidf", "length")
NAMES = ("SAE", "dense", "random SAE", "TF-IDF", "length")
SEEN = {
    "deepscaler": "another model's pass rates",
    "math": "levels",
    "talscq": "difficulty",
    "everyday": "own pass rates",
}
Line = Mapping[str, Any]


def write_report() -> None:
    """Replace what stands between the marks of the page."""
    parts = {"answer": answer(), "quality": quality(), "readings": readings(), "speed": speed(), "training": training()}
    text = PAGE.read_text(encoding="utf-8")
    for name, table in parts.items():
        start, end = f"<!-- {name} table -->", f"<!-- end of {name} table -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{table}\n{end}{rest.partition(end)[2]}"
    PAGE.write_text(text, encoding="utf-8")


def answer() -> str:
    """Return Spearman with the label by pool and reader: held-out rows, or out of fold where nothing was held out."""
    head = ("pool", "reader", "SAEs", *NAMES, "likelihood", "SAE minus the best other [95 %]")
    return _table(head, [_answered(own) for own in _groups()])


def quality() -> str:
    """Return the AUC of the quality probe on corrupted prompts, and how far clusters are topics."""
    head = ("pool", "reader", *NAMES, "SAE by corruption", "NMI of clusters and topics", "explained variance")
    rows = []
    for own in _groups():
        first = own[0]["quality"]["sae"]
        kinds = ", ".join(
            f"{key[4:].replace('_', ' ')} {_mean(own, 'quality', 'sae', key):.2f}" for key in first if key[:4] == "auc_"
        )
        auc = [_spread([line["quality"][name]["auc"] for line in own], of_sae="sae" in name) for name in FEATURES]
        nmi = [line["nmi_topic"] for line in own if line["nmi_topic"] is not None]
        variance = float(np.mean([line["explained_variance"] for line in own]))
        rows.append((*_who(own), *auc, kinds, _spread(nmi, of_sae=True) if nmi else "", f"{variance:.2f}"))
    return _table(head, rows)


def readings() -> str:
    """Return every reading: Spearman and R2 out of fold, Spearman held out, and its cost."""
    head = (
        "pool",
        "reader",
        "block",
        "k",
        "seed",
        *(f"{n}: Spearman, R2, held out" for n in NAMES),
        "likelihood",
        "CPU-s",
        "on",
    )
    rows = []
    for line in read_lines():
        layer = "middle" if line["layer"] is None else str(line["layer"])
        scores = [_scores(line, name) for name in FEATURES]
        spent = f"{line['cpu_s']:.0f}"
        rows.append(
            (
                str(line["pool"]),
                str(line["reader"]),
                layer,
                str(line["k"]),
                str(line["sae_seed"]),
                *scores,
                f"{line['likelihood']['spearman']:.2f}",
                spent,
                str(line.get("device", "cpu")),
            )
        )
    return _table(head, rows)


def speed() -> str:
    """Return prompts a second of extraction, as a share of the bare forward pass to the SAE's block."""
    head = (
        "device",
        "tokens",
        "forward pass alone",
        "with the SAE",
        "as in the pipeline: controls and names too",
        "memory",
    )
    rows = []
    for line in all_lines(SPEED):
        n, bare = float(line["prompts"]), float(line["bare_s"])  # type: ignore[arg-type]
        others = [float(line[key]) for key in ("sae_s", "pipeline_s")]  # type: ignore[arg-type]
        cells = [f"{n / s:,.0f}/s ({bare / s:.0%})" for s in others]
        memory = f"{line['peak_gib']} GiB"
        rows.append((str(line["device"]), f"{line['tokens']:,}", f"{n / bare:,.0f} prompts/s", *cells, memory))
    return _table(head, rows)


def training() -> str:
    """Return the trials on dev, and the comparison on test where the baseline and another arm have run."""
    head = ("split", "arm", "seed", "learning rate", "rollouts", "before", "after", "dead groups", "tokens/s", "on")
    rows, told = [], []
    lines = lines_of_this_pool()
    for line in lines:
        curve: Any = line["curve"]
        rate = float(line["n_tokens"]) / float(line["seconds"])  # type: ignore[arg-type]
        ends = [f"{100 * curve[i][2]:.1f}%" for i in (0, -1)]
        rows.append(
            (
                str(line["split"]),
                str(line["arm"]),
                str(line["seed"]),
                f"{line['lr']:g}",
                f"{budget_of(line):,}",
                *ends,
                f"{line['dead']:.0%}",
                f"{rate:,.0f}",
                str(line["device"]),
            )
        )
    for budget in sorted({budget_of(line) for line in lines}):
        found = trials(budget)
        if len({t.arm for t in found}) > 1 and "vanilla" in {t.arm for t in found}:
            comparison = compare_trials(found, "vanilla")
            told += [f"* {budget:,} rollouts: {sentence(row, comparison)}" for row in comparison.rows[1:]]
    return _table(head, rows) + ("\n\n" + "\n".join(told) if told else "")


def _groups() -> list[list[Line]]:
    """Return the readings of the middle block with k 32, by pool and reader: they differ in the SAE's seed alone."""
    found: dict[tuple[str, str], list[Line]] = {}
    for line in read_lines():
        if line["k"] == 32 and line["layer"] in {15, None}:
            found.setdefault((str(line["pool"]), str(line["reader"])), []).append(line)
    return [found[key] for key in sorted(found, key=lambda key: (list(SEEN).index(key[0]), key[1]))]


def _who(own: Sequence[Line]) -> tuple[str, str]:
    return str(own[0]["pool"]), str(own[0]["reader"])


def _answered(own: Sequence[Line]) -> tuple[str, ...]:
    where = "difficulty_held_out" if own[0]["difficulty_held_out"] else "difficulty"
    seen, n = own[0]["difficulty"]["sae"]["n"], own[0][where]["sae"]["n"]
    pool, reader = _who(own)
    of = f"{n:,.0f} held out of {seen + n:,.0f}" if where != "difficulty" else f"{n:,.0f} out of fold"
    half = 1.96 / math.sqrt(n - 3)
    cells = [_spread([line[where][name]["spearman"] for line in own], of_sae="sae" in name) for name in FEATURES]
    prefix = "held_out_spearman" if where != "difficulty" else "spearman"
    gains = [[line["difficulty_values"][f"{prefix}_gain{end}"] for line in own] for end in ("", "_lo", "_hi")]
    gain = f"{np.mean(gains[0]):+.2f} [{min(gains[1]):+.2f}, {max(gains[2]):+.2f}]"
    likelihood = f"{own[0]['likelihood']['spearman']:.2f}"
    return f"{pool}: {SEEN[pool]}, {of} (± {half:.2f})", reader, str(len(own)), *cells, likelihood, gain


def _mean(own: Sequence[Line], *keys: str) -> float:
    values = []
    for line in own:
        value: Any = line
        for key in keys:
            value = value[key]
        values.append(value)
    return float(np.mean(values))


def _spread(values: Sequence[float], *, of_sae: bool) -> str:
    """Return the mean, with the range over the SAE's seeds where the figure depends on it."""
    if of_sae and len(values) > 1:
        return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"
    return f"{np.mean(values):.2f}"


def _scores(line: Line, name: str) -> str:
    fold, held = line["difficulty"].get(name, {}), line["difficulty_held_out"].get(name, {})
    held_out = f", {held['spearman']:.2f}" if held else ""
    return f"{fold['spearman']:.2f}, {fold['r2']:.2f}{held_out}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)
