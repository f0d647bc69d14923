"""The bars of the protocol, met or missed, and the questions that it asks: sentences made from the results alone."""

from collections.abc import Callable, Iterator, Sequence

from benchmarks.microcosm.report import STANDARD, PoolResult, interval, saving_told
from saerl_core.compare.statistics import Comparison, Row, Saving, compare_trials

OURS = "adaptive"
TO_TUNED, TO_STANDARD, POINTS = 0.70, 0.42, 2.0
_QUESTIONS = (  # who is compared with whom; every arm that has more than one run is told
    (
        "Does the SAE matter",
        OURS,
        ("adaptive_dense", "adaptive_random_sae", "adaptive_likelihood", "adaptive_transferred"),
    ),
    ("Does the paper's plan help", "vanilla/frugal", ("saerl_cluster", "saerl_interleaved")),
    ("Does the paper's plan need its SAE", "saerl_cluster", ("saerl_random", "saerl_surface", "saerl_transferred")),
    ("Does group size", STANDARD, ("vanilla/frugal",)),
    ("Does screening a shuffle", "vanilla/frugal", ("vanilla_dynamic", "vanilla_pilot", "vanilla_dapo")),
    ("Does screening what adaptive chooses", OURS, ("adaptive_dynamic", "adaptive_pilot")),
)


def bars(results: Sequence[PoolResult]) -> list[str]:
    """Return a line a bar and a line a question, as Markdown; empty without results."""
    if not results:
        return []
    lines = [
        _bar(
            f"rollouts to *tuned* vanilla's final accuracy, at most {TO_TUNED:.2f}, interval below 1",
            results,
            lambda r: _reached(_row(r.tuned).saving("n_rollouts"), TO_TUNED),
        ),
        _bar(
            f"at least {POINTS:g} points above tuned vanilla at equal rollouts",
            results,
            lambda r: _points(_row(r.tuned), POINTS),
        ),
        _bar(
            f"rollouts to *standard* vanilla's final accuracy, at most {TO_STANDARD:.2f}",
            results,
            lambda r: _reached(_row(r.standard).saving("n_rollouts"), TO_STANDARD),
        ),
    ]
    return [*lines, *(line for q in _QUESTIONS if (line := _question(*q, results)) is not None)]


def _bar(text: str, results: Sequence[PoolResult], judge: Callable[[PoolResult], str]) -> str:
    return f"- {text}: " + "; ".join(f"{r.pool} {judge(r)}" for r in results) + "."


def _row(comparison: Comparison, arm: str = OURS) -> Row:
    return next(row for row in comparison.rows if row.arm == arm)


def _reached(saving: Saving, bound: float) -> str:
    is_met = saving.reached and saving.ratio <= bound and (saving.hi is None or saving.hi < 1)
    return f"{saving_told(saving)}, **{'met' if is_met else 'missed'}**"


def _points(row: Row, bound: float) -> str:
    word = "met" if row.gain.mean * 100 >= bound else "missed"
    return f"{_gain(row)}, **{word}**"


def _gain(row: Row) -> str:
    return f"{row.gain.mean * 100:+.1f}{interval(row.gain.lo, row.gain.hi, 100, '.1f')}"


def _question(text: str, baseline: str, arms: Sequence[str], results: Sequence[PoolResult]) -> str | None:
    told = [answer for r in results for answer in _answers(r, baseline, arms)]
    return f"- **{text}?** Points against `{baseline}`: {'; '.join(told)}." if told else None


def _answers(result: PoolResult, baseline: str, arms: Sequence[str]) -> Iterator[str]:
    chosen = [t for t in result.trials if t.arm in (baseline, *arms)]
    if len({t.arm for t in chosen}) < 2 or baseline not in {t.arm for t in chosen}:
        return
    rows = [r for r in compare_trials(chosen, baseline, axes=("n_rollouts",)).rows[1:] if r.n_seeds > 1]
    if rows:
        yield f"{result.pool}: " + ", ".join(f"`{row.arm}` {_gain(row)} ({row.word})" for row in rows)
