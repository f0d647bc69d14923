"""What the card of a data set says of the pool that its plan was made from: counts, flags, sources, receipts."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

_MOST = 20  # lines of a table on the card
LICENCE_COLUMNS = ("license", "licence")

Counts = tuple[tuple[str, int], ...]  # name and number, the largest first


@dataclass(frozen=True)
class Match:
    """One receipt: a prompt that shares text with an evaluation item."""

    prompt_id: str
    benchmark: str
    eval_id: str
    coverage: float
    exact: bool


@dataclass(frozen=True)
class Receipts:
    """What the search for evaluation items among the prompts found."""

    n_items: int  # evaluation items that the pool was compared with; 0: it was compared with none
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class PoolFacts:
    """Counts over the pool; the prompts of the data set are those of the plan."""

    n_pool: int
    n_distinct: int  # prompts in the plan
    decisions: Counts  # what became of every prompt
    flags: Counts
    sources: Counts  # of the prompts in the plan; none where no column says it
    licences: Counts  # the same


def receipts_of(matches: pd.DataFrame, n_items: int) -> Receipts:
    """Take the receipts from a table of matches (`tables.MATCHES`), the strongest first."""
    ordered = matches.sort_values(["exact", "coverage", "prompt_id"], ascending=[False, False, True])
    return Receipts(
        n_items,
        tuple(
            Match(str(r["prompt_id"]), str(r["benchmark"]), str(r["eval_id"]), float(r["coverage"]), bool(r["exact"]))
            for r in ordered.to_dict("records")
        ),
    )


def pool_facts(decisions: pd.DataFrame, prompts: pd.DataFrame, planned: Iterable[str]) -> PoolFacts:
    """Count the pool by the plan's decisions (`tables.DECISIONS`) and by the columns that the prompts have."""
    ids = set(planned)
    used = prompts[prompts["prompt_id"].astype(str).isin(ids)]
    flags = [flag for flags in _column(prompts, ("flags",)) for flag in flags.split(",") if flag]
    return PoolFacts(
        n_pool=len(decisions),
        n_distinct=len(ids),
        decisions=_counted(decisions["reason"]),
        flags=_counted(flags),
        sources=_counted(_column(used, ("source",))),
        licences=_counted(_column(used, LICENCE_COLUMNS)),
    )


def text_of(row: dict[str, object], names: Iterable[str]) -> str | None:
    """Return the first text that a row has under one of the names."""
    return next((str(row[n]) for n in names if isinstance(row.get(n), str) and str(row[n]).strip()), None)


def _column(prompts: pd.DataFrame, names: Iterable[str]) -> list[str]:
    found = [name for name in names if name in prompts.columns]
    rows = prompts[found].to_dict("records") if found else []
    texts = [text_of({str(k): v for k, v in row.items()}, found) for row in rows]
    return [text for text in texts if text is not None]


def _counted(values: Iterable[object]) -> Counts:
    counts = pd.Series([str(v) for v in values], dtype=object).value_counts()
    ordered = sorted(((str(name), int(n)) for name, n in counts.items()), key=lambda row: (-row[1], row[0]))
    rest = ordered[_MOST:]
    return (*ordered[:_MOST], *([(f"{len(rest)} others", sum(n for _, n in rest))] if rest else []))
