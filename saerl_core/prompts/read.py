"""Rows from files: JSON lines, CSV and parquet, each row either readable or listed with its line and reason.

Reasons of this module, all rejected: `blank_line`, `unreadable_json`, `truncated_row` (the last row is cut),
`truncated_gzip` (the compressed stream is cut; the rows before it are kept), `wrong_encoding`, `unreadable_csv`,
`wrong_field_count`. Noted: `no_final_newline` (CSV only: a cut last value cannot be told from a whole one).
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from saerl_core.errors import ConfigError, DataError
from saerl_core.prompts.lines import Line, read_lines
from saerl_core.prompts.rows import POOL_SETTINGS, Issue, RawRow, Settings, Suspicion, excerpt

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}

_MAX_FIELD_CHARS = 2**31 - 1  # the csv module stops at 131,072 otherwise
_BATCH_ROWS = 1024


def existing_file(setting: str, path: str, settings: Settings = POOL_SETTINGS) -> Path:
    """Return the path if it is a file; `ConfigError` naming the setting otherwise."""
    found = Path(path).expanduser()
    if found.is_dir():
        raise ConfigError(
            f"{setting} is '{path}', which is a directory; name one JSONL, CSV or parquet file, "
            f"or give the directory with {settings.dataset}"
        )
    if not found.is_file():
        raise ConfigError(f"{setting} is '{path}', but there is no such file (relative paths start at {Path.cwd()})")
    return found


def format_of(path: Path, asked: str, settings: Settings = POOL_SETTINGS) -> str:
    """Return jsonl, csv or parquet: as asked, or by the suffix; `ConfigError` where the suffix says nothing."""
    if asked != "auto":
        return asked
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    found = FORMATS.get(suffix.lower())
    if found is None or (found == "parquet" and path.suffix == ".gz"):
        raise ConfigError(
            f"the format of '{path}' cannot be told from its name; use one of {', '.join(FORMATS)} "
            "(.gz after a text format)" + (f", or set {settings.file_format}" if settings.file_format else "")
        )
    return found


def read_rows(path: Path, file_format: str) -> Iterator[RawRow | Issue]:
    """Yield the rows of a file in file order, and an issue in place of each row that cannot be read.

    Text files are streamed line by line, parquet in batches. `DataError` where the file as a whole is unreadable.
    """
    readers = {"jsonl": _read_jsonl, "csv": _read_csv, "parquet": _read_parquet}
    try:
        yield from readers[file_format](path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error}") from error


def _read_jsonl(path: Path) -> Iterator[RawRow | Issue]:
    for line in read_lines(path):
        if line.number == 1 and line.data.lstrip().startswith(b"["):
            raise DataError(
                f"'{path}' holds one JSON array, not one JSON object a line; convert it with: jq -c '.[]' {path.name}"
            )
        if line.stream_cut:
            yield _cut_stream(path, line)
        else:
            yield _json_row(path, line)


def _json_row(path: Path, line: Line) -> RawRow | Issue:
    if not line.data.strip():
        return Issue(path.name, line.number, "blank_line", "the line is empty")
    try:
        values = json.loads(line.data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return _not_utf8(path, line.number, error.start, line.data)
    except (ValueError, RecursionError) as error:  # also integers beyond Python's digit limit
        if line.ended:
            return Issue(path.name, line.number, "unreadable_json", str(error))
        detail = f"the last line has no newline and is not complete JSON; the file is cut here ({error})"
        return Issue(path.name, line.number, "truncated_row", detail)
    if not isinstance(values, dict):
        detail = f"the line is a JSON {type(values).__name__}, not an object: {excerpt(str(values))}"
        return Issue(path.name, line.number, "unreadable_json", detail)
    return RawRow(line.number, values)


def _not_utf8(path: Path, number: int, offset: int, data: bytes) -> Issue:
    detail = f"byte {offset} of the line ({data[offset : offset + 1]!r}) is not UTF-8; convert the file to UTF-8"
    return Issue(path.name, number, "wrong_encoding", detail)


def _cut_stream(path: Path, line: Line) -> Issue:
    detail = f"the gzip stream breaks off in this line, after {len(line.data)} of its bytes; rows from here on are lost"
    return Issue(path.name, line.number, "truncated_gzip", detail)


class _CsvLines:
    """Feeds the csv module one physical line at a time and remembers how the file ended."""

    def __init__(self, path: Path) -> None:
        self.number = 0
        self.cut: Line | None = None
        self.ended = True
        self._lines = read_lines(path)

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if line.stream_cut:
                self.cut = line
                return  # the rest of a row is no row: it is reported, not parsed
            self.number, self.ended = line.number, line.ended
            # bytes that are not UTF-8 become lone surrogates, which the row check finds in their field
            yield line.data.decode("utf-8", errors="surrogateescape") + ("\n" if line.ended else "")


def _read_csv(path: Path) -> Iterator[RawRow | Issue]:
    lines = _CsvLines(path)
    csv.field_size_limit(_MAX_FIELD_CHARS)
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        start = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if header is None:
                raise DataError(f"the header of '{path}' is not readable as CSV: {error}") from error
            yield _broken_csv(path, lines, start, str(error))
            continue
        if header is None:
            header = cells
        else:
            yield _csv_row(path, lines, start, header, cells)
    if lines.cut is not None:
        yield _cut_stream(path, lines.cut)


def _broken_csv(path: Path, lines: _CsvLines, start: int, error: str) -> Issue:
    if "unexpected end of data" in error:
        detail = (
            f"a quote that opens in the row at line {start} is not closed by the end of the file (line {lines.number})"
        )
        return Issue(path.name, start, "truncated_row", detail)
    return Issue(path.name, start, "unreadable_csv", error)


def _csv_row(path: Path, lines: _CsvLines, start: int, header: list[str], cells: list[str]) -> RawRow | Issue:
    if not cells:
        return Issue(path.name, start, "blank_line", "the line is empty")
    if len(cells) != len(header):
        reason = "wrong_field_count" if lines.ended else "truncated_row"
        return Issue(path.name, start, reason, f"the row has {len(cells)} fields, the header {len(header)}")
    for name, cell in zip(header, cells, strict=True):
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            data = cell[error.start].encode(errors="surrogateescape")
            detail = f"character {error.start} of column '{name}' ({data!r}) is not UTF-8; convert the file to UTF-8"
            return Issue(path.name, start, "wrong_encoding", detail)
    odd: tuple[Suspicion, ...] = ()
    if not lines.ended:
        odd = (Suspicion("no_final_newline", "the last line has no newline: its last value may be cut"),)
    return RawRow(start, dict(zip(header, cells, strict=True)), odd)


def _read_parquet(path: Path) -> Iterator[RawRow | Issue]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=_BATCH_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield RawRow(number, values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        where = f"after row {number}" if number else "before its first row"
        raise DataError(
            f"'{path}' is truncated or is no parquet file ({where}: {error}); copy or download it again"
        ) from error
