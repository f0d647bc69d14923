"""Tables and figures of the benchmark, made from the results file alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.microcosm.arms import ARMS, POOLS
from benchmarks.microcosm.run import RESULTS, read_lines
from saerl_core.compare.statistics import Comparison, Row, Saving, compare_trials
from saerl_core.compare.trials import Point, Trial, smoothed
from saerl_core.report.charts import Series, curves
from saerl_core.report.vega import standalone

STANDARD, TUNED = "vanilla/standard", "vanilla/frugal"
_BASE_STRIDE = 100_000  # a pair of base and training seed is one number: runs are paired by it
_COLOURS = {STANDARD: "c7", TUNED: "ink", "adaptive": "c0", "saerl_cluster": "c1"}  # of the page


@dataclass(frozen=True)
class PoolResult:
    """One pool's trials, against each of the two baselines."""

    pool: str
    trials: tuple[Trial, ...]
    standard: Comparison
    tuned: Comparison


def load(path: Path) -> dict[str, tuple[Trial, ...]]:
    """Return the trials of a results file by pool; the arm's name holds its recipe where it is vanilla's."""
    found: dict[str, list[Trial]] = {}
    for line in read_lines(path):
        found.setdefault(str(line["pool"]), []).append(_trial(line))
    return {pool: tuple(trials) for pool, trials in found.items()}


def _trial(line: dict[str, object]) -> Trial:
    arm, recipe = str(line["arm"]), str(line["recipe"])
    seed = int(str(line["base"])) * _BASE_STRIDE + int(str(line["seed"]))
    return trial_of(line, f"{arm}/{recipe}" if arm == "vanilla" else arm, seed)


def trial_of(line: Mapping[str, object], arm: str, seed: int) -> Trial:
    """Return the trial of a line of results; in `items` every held-out item has a digit, its right answers."""
    curve = tuple(Point(int(s), int(n), 0, 0.0, float(a)) for s, n, a in line["curve"])  # type: ignore[attr-defined]
    correct = [int(c) for c in str(line["items"])]
    names, n_samples = [f"{i:03}" for i in range(len(correct))], line.get("n_samples", 4)
    items = pd.DataFrame({"item_id": names, "n_samples": n_samples, "n_correct": correct})
    dead = line.get("dead")
    return Trial(arm, seed, curve, items, int(str(line["label_rollouts"])), () if dead is None else (float(str(dead)),))


def compared(path: Path = RESULTS / "test.jsonl") -> list[PoolResult]:
    """Compare every pool that has both baselines."""
    found = []
    for pool, trials in load(path).items():
        arms = {t.arm for t in trials}
        if {STANDARD, TUNED} <= arms:
            comparisons = [compare_trials(trials, base, axes=("n_rollouts",)) for base in (STANDARD, TUNED)]
            found.append(PoolResult(pool, trials, *comparisons))
    return found


def table(result: PoolResult) -> list[str]:
    """Return the pool's table as Markdown: best gain over tuned vanilla first."""
    lines = [
        "| arm | runs | final | gain over tuned vanilla, points [95 %] | rollouts to tuned vanilla's final [95 %] | "
        "rollouts to standard vanilla's final [95 %] | dead groups | verdict against tuned vanilla |",
        "|---|---|---|---|---|---|---|---|",
    ]
    standard = {row.arm: row for row in result.standard.rows}
    for row in sorted(result.tuned.rows, key=lambda r: -r.accuracy):
        lines.append(_line(row, standard.get(row.arm)))
    return lines


def summary(results: Sequence[PoolResult]) -> list[str]:
    """Return the main arms in one short table: gain over tuned vanilla and rollouts to its final accuracy, by pool."""
    lines = [
        "| arm | " + " | ".join(f"{r.pool}: gain, points | rollouts needed" for r in results) + " |",
        f"|---|{'---|---|' * len(results)}",
    ]
    names = [TUNED, STANDARD, *(arm.name for arm in ARMS.values() if arm.is_main and arm.name != "vanilla")]
    for name in names:
        cells = []
        for result in results:
            row = next((r for r in result.tuned.rows if r.arm == name), None)
            if row is None:
                cells += ["", ""]
            elif name == TUNED:
                cells += [f"{row.accuracy:.1%} ({row.n_seeds} runs)", "1"]
            else:
                gain = f"{row.gain.mean * 100:+.1f}{interval(row.gain.lo, row.gain.hi, 100, '.1f')}"
                cells += [gain, saving_told(row.saving("n_rollouts"))]
        lines.append(f"| {_name(name)} | {' | '.join(cells)} |")
    return lines


def _name(arm: str) -> str:
    return {STANDARD: "shuffle, standard (32 x 8)", TUNED: "**shuffle, tuned**"}.get(arm, f"`{arm}`")


def _line(row: Row, against_standard: Row | None) -> str:
    name = {STANDARD: "standard vanilla (32 x 8)", TUNED: "tuned vanilla"}.get(row.arm, f"`{row.arm}`")
    gain = "" if row.arm == TUNED else f"{row.gain.mean * 100:+.1f}{interval(row.gain.lo, row.gain.hi, 100, '.1f')}"
    to_tuned = "" if row.arm == TUNED else saving_told(row.saving("n_rollouts"))
    to_standard = (
        "" if row.arm == STANDARD or against_standard is None else saving_told(against_standard.saving("n_rollouts"))
    )
    dead = "" if row.zero_std_frac is None else f"{row.zero_std_frac:.0%}"
    word = "" if row.arm == TUNED else row.word
    return f"| {name} | {row.n_seeds} | {row.accuracy:.1%} | {gain} | {to_tuned} | {to_standard} | {dead} | {word} |"


def saving_told(saving: Saving) -> str:
    """Return a share of rollouts with its interval, or that it was never reached."""
    if not saving.reached:
        return f"never within {saving.ratio:.2f}"
    return f"{saving.ratio:.2f}{interval(saving.lo, saving.hi, 1, '.2f')}"


def interval(lo: float | None, hi: float | None, scale: float, digits: str) -> str:
    """Return an interval in brackets, scaled; nothing where there is none."""
    return "" if lo is None or hi is None else f" [{lo * scale:{digits}}, {hi * scale:{digits}}]"


def dev_table(path: Path = RESULTS / "dev.jsonl") -> list[str]:
    """Return what was tried on dev as Markdown, in the order of the first run: final accuracy by pool and seed.

    Final is the mean of the last three evaluations.
    """
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    settings: dict[tuple[str, str], str] = {}
    for row in read_lines(path):
        key = (str(row["arm"]), str(row["recipe"]))
        last = [float(a) for _, _, a in row["curve"][-3:]]  # type: ignore[index]
        cell = f"{100 * sum(last) / len(last):.1f}"
        found.setdefault(key, {}).setdefault(str(row["pool"]), []).append(cell)
        settings[key] = _told(row["settings"])
    pools = list(POOLS)
    lines = [f"| tried | settings | {' | '.join(pools)} |", f"|---|---|{'---|' * len(pools)}"]
    for key, cells in found.items():
        each = " | ".join(", ".join(cells.get(pool, [])) for pool in pools)
        lines.append(f"| {key[0]} | {settings[key]} | {each} |")
    return lines


def _told(settings: object) -> str:
    given: dict[str, Any] = settings  # type: ignore[assignment]
    own = ", ".join(f"{k} {v}" for k, v in given["strategy"].items() if k != "name")
    return f"{given['batch']} x {given['group']}{', ' if own else ''}{own}"


def figure(results: Sequence[PoolResult], arms: Sequence[str], path: Path) -> None:
    """Draw accuracy over generated rollouts, a panel a pool: means over the runs with 95 % bands (bootstrap)."""
    panels = []
    for result in results:
        series = [_curve(arm, own) for arm in arms if (own := [t for t in result.trials if t.arm == arm])]
        panel = curves(series, "generated rollouts, labels included", y_label="held-out accuracy", as_share=True)
        panels.append(panel.properties(width=330, height=240, title=f"pool {result.pool}"))
    path.write_text(standalone(panels, [(_name_in_figure(arm), _COLOURS[arm]) for arm in arms]), encoding="utf-8")


def _curve(arm: str, trials: Sequence[Trial]) -> Series:
    x = np.mean([[p.n_rollouts for p in t.curve] for t in trials], axis=0)
    y = np.stack([smoothed(np.array([p.accuracy for p in t.curve])) for t in trials])
    rng = np.random.default_rng(0)
    means = y[rng.integers(0, len(y), size=(2000, len(y)))].mean(axis=1)
    lo, hi = np.quantile(means, [0.025, 0.975], axis=0)
    return Series(_name_in_figure(arm), x.tolist(), y.mean(axis=0).tolist(), _COLOURS[arm], lo.tolist(), hi.tolist())


def _name_in_figure(arm: str) -> str:
    return {STANDARD: "shuffle, 32 x 8", TUNED: "shuffle, tuned"}.get(arm, arm)
