"""Named evaluation sets: files or Hugging Face splits, read and checked like the pool, each under its own name.

One reason for a rejection beside those of `read` and `columns`: `no_answer_marker` (the answer lacks the text of
`answer_after`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from saerl_core.config.run import BenchmarkConfig
from saerl_core.errors import ConfigError
from saerl_core.prompts.assemble import issues_table, prompts_table
from saerl_core.prompts.duplicates import identify
from saerl_core.prompts.hub import read_hub
from saerl_core.prompts.pool import Pool, collect
from saerl_core.prompts.read import existing_file, format_of, read_rows
from saerl_core.prompts.rows import Issue, RawRow, Settings
from saerl_core.protocols import AnswerComparison
from saerl_core.records import BenchmarksReport
from saerl_core.tables import BENCHMARKS


@dataclass(frozen=True)
class BenchmarkSet:
    """All benchmarks of a run, and everything that was odd in them."""

    table: pd.DataFrame  # tables.BENCHMARKS
    issues: pd.DataFrame  # tables.ISSUES
    report: BenchmarksReport


def load_benchmarks(
    benchmarks: Sequence[BenchmarkConfig], max_prompt_chars: int, same_answers: AnswerComparison | None = None
) -> BenchmarkSet:
    """Load every benchmark; no row disappears without a line among the issues.

    Rows are flagged as in the pool (`same_answers` settles answers that differ in spelling), and those that are not
    usable are not evaluated. A prompt that is in two benchmarks is evaluated in both.

    Raises:
        ConfigError: a file does not exist.
        DataError: a file or data set cannot be read, or holds no row that can be used.
    """
    tables: list[pd.DataFrame] = []
    issues: list[Issue] = []
    notes: list[str] = []
    for i, benchmark in enumerate(benchmarks):
        pool = _pool(benchmark, f"evaluation.benchmarks[{i}]", max_prompt_chars)
        table, odd = prompts_table(pool.rows, identify(pool.rows, same_answers), {})
        issues += [*pool.rejected, *odd]
        notes += _notes(benchmark.name, pool, table)
        tables.append(table.assign(benchmark=benchmark.name))
    joined = BENCHMARKS.check(pd.concat(tables, ignore_index=True)) if tables else BENCHMARKS.empty()
    counts = joined.groupby("benchmark", sort=False)["usable"].sum()
    values = {f"n_{name}": float(n) for name, n in counts.items()}
    report = BenchmarksReport(stage="load_benchmarks", values=values, notes=tuple(notes))
    return BenchmarkSet(joined, issues_table(issues), report)


def _pool(benchmark: BenchmarkConfig, here: str, max_chars: int) -> Pool:
    settings = Settings(
        columns=f"{here}.columns",
        file=f"{here}.path",
        dataset=f"{here}.dataset",
        to_check=f"dataset, dataset_config and split of {here}",
        file_format=None,
    )
    raws: Iterator[RawRow | Issue]
    if benchmark.path is not None:
        found = existing_file(f"{here}.path", benchmark.path, settings)
        raws = read_rows(found, format_of(found, "auto", settings), benchmark.split)
    elif benchmark.dataset is not None:
        name, config = benchmark.dataset, benchmark.dataset_config
        raws = iter(read_hub(name, config, benchmark.split, benchmark.columns, settings))
    else:
        raise ConfigError(f"{here} '{benchmark.name}' names neither a path nor a dataset; name one")
    return collect(
        benchmark.name, raws, benchmark.columns, max_chars, benchmark.max_rows, settings, benchmark.answer_after
    )


def _notes(name: str, pool: Pool, table: pd.DataFrame) -> list[str]:
    layout = pool.layout_note()
    notes = [layout] if layout is not None else []
    if pool.rejected:
        reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(i.reason for i in pool.rejected).most_common())
        n_rows = len(pool.rejected) + len(pool.rows)
        notes.append(f"Benchmark '{name}': {len(pool.rejected)} of {n_rows} rows are rejected ({reasons}).")
    unusable = table.loc[~table["usable"], "flags"]
    if len(unusable):
        flags = ", ".join(f"{n} {flag}" for flag, n in Counter(",".join(unusable).split(",")).most_common())
        notes.append(f"Benchmark '{name}': {len(unusable)} of {len(table)} rows are not evaluated (flags: {flags}).")
    return notes
