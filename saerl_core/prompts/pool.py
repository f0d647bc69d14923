"""The rows of one input, in its layout: read, checked and inspected, with every rejected row listed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saerl_core.config.run import ColumnMap, PromptsConfig
from saerl_core.errors import DataError
from saerl_core.progress import track
from saerl_core.prompts.columns import check_columns, found_paths, prompt_only, to_row
from saerl_core.prompts.decontaminate import EvalItem
from saerl_core.prompts.endings import FINAL_ANSWER, final_answers
from saerl_core.prompts.hub import read_hub
from saerl_core.prompts.inspect import inspect_answer, inspect_prompt
from saerl_core.prompts.layouts import AS_WRITTEN, LAYOUTS, PLAIN, Layout, recognise, recognise_prompt
from saerl_core.prompts.read import existing_file, format_of, read_rows
from saerl_core.prompts.rows import POOL_SETTINGS, Issue, RawRow, Row, Settings, Suspicion, excerpt

_LOOKED_AT = 20  # rows that tell the layout: the first one may lack a value
_OTHER_PROMPT_COLUMNS = ("prompt", "problem", "question")  # of evaluation files, after the mapped one


@dataclass(frozen=True)
class Pool:
    """The rows that could be used, in file order, and the ones that could not."""

    name: str
    rows: tuple[Row, ...]
    rejected: tuple[Issue, ...]
    layout: Layout = PLAIN
    columns: ColumnMap = field(default_factory=ColumnMap)  # as the layout and the configuration name them
    marker: str | None = None  # what stands in front of the answer in its column

    def layout_note(self) -> str | None:
        """Say how the file was read, with its first row; None for columns `prompt` and `answer`, or as configured."""
        if self.layout in (PLAIN, AS_WRITTEN):
            return None
        first = self.rows[0]
        ending = f", behind {self.marker!r}" if self.marker else ""
        return (
            f"'{self.name}' is in the layout '{self.layout.name}': prompt from '{self.columns.prompt}', answer from "
            f"'{self.columns.answer}'{ending}. Its first row reads {excerpt(first.prompt)}, answer "
            f"{excerpt(first.answer)}."
        )


def pool_from_file(setting: str, path: str, config: PromptsConfig, max_rows: int | None) -> Pool:
    """Read prompts with answers; `ConfigError` for the path, `DataError` for an unusable or empty file."""
    found = existing_file(setting, path)
    raws = read_rows(found, format_of(found, config.format), config.dataset_split)
    return collect(
        found.name, raws, config.columns, config.max_prompt_chars, max_rows, answer_after=config.answer_after
    )


def pool_from_hub(config: PromptsConfig, name: str) -> Pool:
    """Read one split of a Hugging Face data set; `DataError` where it cannot be had or is empty."""
    raws = read_hub(name, config.dataset_config, config.dataset_split, config.columns)
    return collect(
        Path(name).name or name,
        raws,
        config.columns,
        config.max_prompt_chars,
        config.max_rows,
        answer_after=config.answer_after,
    )


def items_from_file(path: str, config: PromptsConfig) -> tuple[list[EvalItem], list[Issue]]:
    """Read evaluation prompts, without answers, in any layout; else a column called prompt, problem or question."""
    found = existing_file("prompts.decontaminate_against", path)
    items: list[EvalItem] = []
    rejected: list[Issue] = []
    seen: set[str] = set()
    names = dict.fromkeys((config.columns.prompt, *_OTHER_PROMPT_COLUMNS))
    for raw in read_rows(found, format_of(found, "auto"), config.dataset_split):
        if isinstance(raw, Issue):
            rejected.append(raw)
            continue
        if not seen and (name := recognise_prompt(raw.values, config.columns)) is not None:
            names = dict.fromkeys((name, *names))
        seen.update(raw.values)
        prompt, issue = prompt_only(raw, names, found.name)
        if issue is None:
            items.append(EvalItem(found.name, f"line {raw.line}", prompt))
        else:
            rejected.append(issue)
    if not items:
        _refuse_empty(found.name, rejected, f"no prompt in any of the columns {list(names)}; it has {sorted(seen)}")
    return items, rejected


def items_of(pool: Pool) -> list[EvalItem]:
    """Return the prompts of a held-out pool as evaluation items."""
    return [EvalItem(pool.name, f"line {row.line}", row.prompt) for row in pool.rows]


def collect(
    name: str,
    raws: Iterator[RawRow | Issue],
    columns: ColumnMap,
    max_chars: int,
    max_rows: int | None,
    settings: Settings = POOL_SETTINGS,
    answer_after: str | None = None,
) -> Pool:
    """Check and inspect the rows of one input until there are `max_rows`; `DataError` where none is left.

    The first row that can be read tells the layout, unless `columns` names the prompt's or the answer's column;
    `answer_after` comes before the layout's own.
    """
    raws, layout = _recognised(raws, columns)
    mapped = read_as = layout.mapped(columns)
    marker = answer_after or layout.answer_after
    if marker is not None:
        raws = final_answers(marker, mapped.answer, raws, name)
        mapped = mapped.model_copy(update={"answer": FINAL_ANSWER})
    rejected: list[Issue] = []
    seen: set[str] = set()
    found: set[str] = set()
    with track(0, f"read {name}", unit="row") as bar:  # how many there are is known at the end only
        checked = _checked(name, raws, mapped, rejected, seen, found)
        rows = tuple(_inspected(row, max_chars) for row in islice(_counted(checked, bar), max_rows))
    if seen and not rows:
        check_columns(
            mapped, seen, name, settings, found, columns.model_fields_set
        )  # a wrong mapping is the likeliest reason
    if not rows:
        _refuse_empty(name, rejected, "no rows")
    check_columns(mapped, seen, name, settings, found, columns.model_fields_set)
    return Pool(name, rows, tuple(rejected), layout, read_as, marker)


def _recognised(raws: Iterator[RawRow | Issue], columns: ColumnMap) -> tuple[Iterator[RawRow | Issue], Layout]:
    """Look at the first rows and put them back; the first layout of the table that one of them fits counts."""
    looked_at = list(islice(raws, _LOOKED_AT))
    found = [recognise(raw.values, columns) for raw in looked_at if isinstance(raw, RawRow)]
    known = [layout for layout in found if layout is not AS_WRITTEN]
    candidates = known[:1] + [layout for layout in known[1:] if layout.marker is None]  # "####" in one answer is a flaw
    return chain(looked_at, raws), min(candidates, key=LAYOUTS.index, default=AS_WRITTEN)


def _checked(
    name: str,
    raws: Iterator[RawRow | Issue],
    columns: ColumnMap,
    rejected: list[Issue],
    seen: set[str],
    found: set[str],
) -> Iterator[Row]:
    for raw in raws:
        if isinstance(raw, RawRow):
            seen.update(raw.values)
            found |= found_paths(raw.values, columns)
        checked = to_row(raw, columns, name) if isinstance(raw, RawRow) else raw
        if isinstance(checked, Issue):
            rejected.append(checked)
        else:
            yield checked


def _counted(rows: Iterator[Row], bar: "tqdm[Any]") -> Iterator[Row]:
    for row in rows:
        bar.update()
        yield row


def _inspected(row: Row, max_chars: int) -> Row:
    """Add what the texts show; a flag that prompt and answer share stands once, with both reasons."""
    found = [*row.suspicions, *inspect_prompt(row.prompt, max_chars)]
    found += [Suspicion(s.flag, f"answer: {s.detail}") for s in inspect_answer(row.answer)]
    details: dict[str, list[str]] = {}
    for suspicion in found:
        details.setdefault(suspicion.flag, []).append(suspicion.detail)
    return replace(row, suspicions=tuple(Suspicion(flag, "; ".join(texts)) for flag, texts in details.items()))


def _refuse_empty(name: str, rejected: list[Issue], otherwise: str) -> None:
    if not rejected:
        raise DataError(f"'{name}' has {otherwise}; give a file with at least one prompt")
    reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(i.reason for i in rejected).most_common())
    first = rejected[0]
    raise DataError(
        f"all {len(rejected)} rows of '{name}' are rejected ({reasons}); the first, line {first.line}: {first.detail}"
    )
