"""A quick look at a file of prompts: its layout, a few rows as they would be read, what is odd, the YAML to paste."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import yaml

from saerl_core.config.run import ColumnMap, PromptsConfig
from saerl_core.errors import DataError
from saerl_core.flags import UNUSABLE
from saerl_core.prompts.pool import Pool, collect
from saerl_core.prompts.read import existing_file, format_of, read_rows
from saerl_core.prompts.rows import AbsentColumnError, RawRow, Row, excerpt

_SHOWN = 5


@dataclass(frozen=True)
class Preview:
    """What the first rows of a file show; `text()` is for a terminal."""

    path: str
    columns: tuple[str, ...]  # of the file
    pool: Pool
    n_read: int
    complete: bool  # the file has no more rows than were read

    def text(self) -> str:
        """Return layout, columns, rows, counts of flags and reasons, and the YAML to paste."""
        layout, rows = self.pool.layout, self.pool.rows
        how_many = f"all {self.n_read:,} rows" if self.complete else f"the first {self.n_read:,} rows"
        lines = [
            f"{self.path}: {how_many} read, {len(rows):,} have a prompt and an answer",
            f"layout:  {layout.name}",
            f"columns: {', '.join(self.columns)}",
            f"read as: {self._read_as()}",
            "",
            *(line for row in rows[:_SHOWN] for line in _shown(row)),
            *_counted("rejected", Counter(issue.reason for issue in self.pool.rejected)),
            *_counted("flags", Counter(s.flag for row in rows for s in row.suspicions)),
            "paste into a run file:",
            self.yaml(),
        ]
        return "\n".join(lines)

    def _read_as(self) -> str:
        marker = f" behind {self.pool.marker!r}" if self.pool.marker else ""
        names = {field: name for field, name in dict(self.pool.columns).items() if name is not None}
        present = {field: any(getattr(row, _FIELDS[field]) is not None for row in self.pool.rows) for field in names}
        return ", ".join(
            f"{field} from {name!r}{marker if field == 'answer' else ''}"
            for field, name in names.items()
            if present[field]
        )

    def yaml(self) -> str:
        """Return the prompts section that reads the file this way."""
        defaults = dict(ColumnMap())
        columns = {
            field: name
            for field, name in dict(self.pool.columns).items()
            if name is not None and (name != defaults[field] or field in ("prompt", "answer"))
        }
        section: dict[str, object] = {"source": "file", "path": self.path, "columns": columns}
        if self.pool.marker not in (None, "auto"):
            section["answer_after"] = self.pool.marker
        if self.pool.marker == "auto":  # recognised with the layout, which explicit columns would switch off
            del section["columns"]
        return yaml.safe_dump({"parameters": {"prompts": section}}, sort_keys=False, allow_unicode=True).rstrip()


_FIELDS = {
    "prompt": "prompt",
    "answer": "answer",
    "topic": "topic",
    "level": "level",
    "pass_rate": "known_pass_rate",
    "quality": "quality_label",
    "source": "source",
    "licence": "licence",
}


def preview(path: str, config: PromptsConfig, max_rows: int = 2000) -> Preview:
    """Read the first rows of a file as the pool would read them; duplicates and leaks are not looked for.

    Raises:
        ConfigError: there is no such file.
        DataError: the file cannot be read, or no row of it.
    """
    found = existing_file("prompts.path", path)
    raws = list(islice(read_rows(found, format_of(found, config.format), config.dataset_split), max_rows + 1))
    complete, raws = len(raws) <= max_rows, raws[:max_rows]
    whole = [raw for raw in raws if isinstance(raw, RawRow)]
    columns = dict.fromkeys(name for raw in whole for name in raw.values)
    try:
        pool = collect(
            found.name, iter(raws), config.columns, config.max_prompt_chars, None, answer_after=config.answer_after
        )
    except AbsentColumnError as error:
        if config.columns.model_fields_set:
            raise
        raise DataError(_columns_to_name(path, whole[0], columns)) from error
    return Preview(path, tuple(columns), pool, len(raws), complete)


def _columns_to_name(path: str, first: RawRow, columns: Iterable[str]) -> str:
    """Say that no layout was recognised, what each column holds in the first row, and how to name two of them."""
    longest = max(map(len, columns), default=0)
    held = "".join(f"\n  {name:<{longest}}  {excerpt(str(first.values.get(name, '')))}" for name in columns)
    return (
        f"no layout is recognised in '{path}': say which column holds the prompt and which the answer, with "
        f"--prompt COLUMN --answer COLUMN. Its columns, and what line {first.line} holds in them:{held}"
    )


def _shown(row: Row) -> list[str]:
    others = {"topic": row.topic, "level": row.level, "pass_rate": row.known_pass_rate}
    more = "".join(f"  {name} {value}" for name, value in others.items() if value is not None)
    flags = ", ".join(s.flag for s in row.suspicions)
    return [
        f"  line {row.line}: {excerpt(row.prompt, 160)}",
        f"    answer {excerpt(row.answer)}{more}" + (f"  [{flags}]" if flags else ""),
    ]


def _counted(title: str, counts: Counter[str]) -> list[str]:
    if not counts:
        return ["", f"{title}: none"]
    shown = (f"{n:,} {name}{' (not used)' if name in UNUSABLE else ''}" for name, n in counts.most_common())
    return ["", f"{title}: {', '.join(shown)}"]
