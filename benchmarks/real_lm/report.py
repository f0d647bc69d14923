"""The tables of docs/real_model.md, from the results alone."""

import math
from pathlib import Path
from typing import Any

from benchmarks.real_lm.signals import read_lines

PAGE = Path(__file__).resolve().parents[2] / "docs" / "real_model.md"
START, END = "<!-- real reader table -->", "<!-- end of real reader table -->"
FEATURES = ("sae", "dense", "random_sae", "tfidf", "length")


def write_report() -> None:
    """Replace what stands between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}\n{tables()}\n{END}{after}", encoding="utf-8")


def tables() -> str:
    """Return one table a pool: a row a reading."""
    lines: list[dict[str, Any]] = read_lines()
    parts = []
    for pool in dict.fromkeys(line["pool"] for line in lines):
        own = [line for line in lines if line["pool"] == pool]
        head = ["reader", "block", "k", "seed", *FEATURES, "likelihood", "AUC sae", "AUC dense", "AUC tfidf", "CPU-s"]
        rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        rows += [f"| {' | '.join(_cells(line))} |" for line in own]
        n = own[0]["difficulty"]["sae"]["n"]
        parts.append(
            f"Pool `{pool}`, {own[0]['n']:,} prompts; Spearman with the label, out of fold / held out, "
            f"{n:,.0f} labels seen "
            f"(± {1.96 / math.sqrt(n - 3):.3f}, Fisher), and AUC of the quality probe on corruptions:\n\n"
            + "\n".join(rows)
        )
    return "\n\n".join(parts)


def _cells(line: dict[str, Any]) -> list[str]:
    layer = "middle" if line["layer"] is None else str(line["layer"])
    scores = [
        " / ".join(_number(line[of].get(name, {}).get("spearman")) for of in ("difficulty", "difficulty_held_out"))
        for name in FEATURES
    ]
    quality = [_number(line["quality"].get(name, {}).get("auc")) for name in ("sae", "dense", "tfidf")]
    spent = f"{line['cpu_s']:.0f}"
    return [
        line["reader"], layer, str(line["k"]), str(line["sae_seed"]), *scores, _number(line["likelihood"]["spearman"]),
        *quality, spent,
    ]  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
