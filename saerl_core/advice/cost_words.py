"""What a run will spend, as a table for a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saerl_core.advice.cost import PlannedCost
from saerl_core.records import Throughput

_HEADER = ("stage", "rollouts", "tokens at most", "tokens expected", "time here", "price")
_WIDTHS = (20, 12, 16, 16, 12, 12)


@dataclass(frozen=True)
class Expected:
    """What a stage, or several, will take at a measured speed."""

    n_rollouts: int
    max_tokens: int
    n_tokens: float
    seconds: float

    def plus(self, other: "Expected") -> "Expected":
        """Return the sum of both."""
        return Expected(
            self.n_rollouts + other.n_rollouts,
            self.max_tokens + other.max_tokens,
            self.n_tokens + other.n_tokens,
            self.seconds + other.seconds,
        )


def expected(row: PlannedCost, speed: Throughput, prompt_tokens: float) -> Expected:
    """Return what a stage will take; `prompt_tokens` is the mean length of a prompt, read once an update and rollout.

    A completion is taken to be as long as those that were measured, and never longer than the stage allows. An engine
    of its own starts once a policy; trainers have theirs.
    """
    n_tokens = row.n_rollouts * min(speed.mean_tokens, row.max_completion_tokens)
    seconds = n_tokens / speed.tokens_per_second
    if row.is_trained and speed.update_ms_per_token is not None:
        seconds += (n_tokens + row.n_rollouts * prompt_tokens) * speed.update_ms_per_token / 1000
    if not row.is_trained:
        seconds += row.n_policies * speed.start_s
    return Expected(row.n_rollouts, row.max_tokens, n_tokens, seconds)


def costs_in_words(
    rows: Sequence[PlannedCost], speed: Throughput, prompt_tokens: float, per_hour: float | None = None
) -> str:
    """Return the table, what it was measured with, and what is not in it; `per_hour` is the price of this machine."""
    return "\n".join(_lines(rows, speed, prompt_tokens, per_hour))


def _lines(
    rows: Sequence[PlannedCost], speed: Throughput, prompt_tokens: float, per_hour: float | None
) -> Iterator[str]:
    update = "" if speed.update_ms_per_token is None else f"; an update {speed.update_ms_per_token:,.3g} ms a token"
    start = "" if not speed.start_s else f"; the engine starts in {_duration(speed.start_s)}"
    yield (
        f"Measured here with {speed.n_prompts} prompts x {speed.n_rollouts // speed.n_prompts} completions "
        f"({speed.engine}): {speed.tokens_per_second:,.0f} tokens a second{start}{update}; "
        f"{speed.mean_tokens:,.1f} tokens a completion, {100 * speed.cut_frac:.0f} % cut at the bound."
    )
    yield ""
    yield _row(_HEADER, per_hour)
    total = Expected(0, 0, 0.0, 0.0)
    for row in rows:
        found = expected(row, speed, prompt_tokens)
        total = total.plus(found)
        yield _row((row.stage, *_cells(found, per_hour)), per_hour)
    yield _row(("all", *_cells(total, per_hour)), per_hour)
    yield ""
    yield (
        "Not in it: preparing policy, SAE and signals, and held-out scores while training. Larger batches than ten "
        "prompts are faster, longer answers after training slower."
    )


def _cells(found: Expected, per_hour: float | None) -> tuple[str, ...]:
    price = "" if per_hour is None else f"{found.seconds / 3600 * per_hour:,.2f}"
    counts = (f"{found.n_rollouts:,}", f"{found.max_tokens:,}", f"{found.n_tokens:,.0f}")
    return (*counts, _duration(found.seconds), price)


def _row(cells: Sequence[str], per_hour: float | None) -> str:
    first, *others = cells[: len(_WIDTHS) - (per_hour is None)]
    return (f"{first:<{_WIDTHS[0]}}" + "".join(f"{c:>{w}}" for c, w in zip(others, _WIDTHS[1:], strict=False))).rstrip()


def _duration(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.1f} {name}"
    return f"{seconds:,.1f} s"
