"""Rows from files: JSON, CSV, parquet, arrow and saved data sets; each row is readable or listed with its reason.

Reasons of this module, all rejected: `blank_line`, `unreadable_json`, `truncated_row` (the last row is cut),
`truncated_gzip` (the compressed stream is cut; the rows before it are kept), `wrong_encoding`, `unreadable_csv`,
`wrong_field_count`, `repeated_key` (one name stands twice in a JSON object). Noted: `no_final_newline` (CSV only: a cut
last value cannot be told from a whole one).
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from saerl_core.errors import ConfigError, DataError
from saerl_core.prompts.arrow import is_saved_dataset, read_arrow, read_folder, read_parquet
from saerl_core.prompts.json_rows import cut_stream, read_json, refuse_cr
from saerl_core.prompts.lines import Line, read_lines
from saerl_core.prompts.rows import POOL_SETTINGS, Issue, RawRow, Settings, Suspicion, excerpt

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}

_MAX_FIELD_CHARS = 2**31 - 1  # the csv module stops at 131,072 otherwise
_LFS = b"version https://git-lfs"
_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "vertical bar"}


def existing_file(setting: str, path: str, settings: Settings = POOL_SETTINGS) -> Path:
    """Return the path if it is a file or a folder of `save_to_disk`; `ConfigError` naming the setting otherwise."""
    found = Path(path).expanduser()
    try:
        found.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigError(
            f"{setting} is '{path[:80]}', which cannot be read ({error.strerror}); check the path"
        ) from error
    if found.is_dir() and is_saved_dataset(found):
        return found
    if found.is_dir():
        raise ConfigError(
            f"{setting} is '{path}', which is a directory that `save_to_disk` did not write; name one JSONL, CSV, "
            f"parquet or arrow file, or give the directory with {settings.dataset}"
        )
    if found.exists() and not found.is_file():
        raise ConfigError(f"{setting} is '{path}', which is no file but a device or a pipe; write its rows to a file")
    if not found.is_file():
        raise ConfigError(f"{setting} is '{path}', but there is no such file (relative paths start at {Path.cwd()})")
    return found


def format_of(path: Path, asked: str, settings: Settings = POOL_SETTINGS) -> str:
    """Return jsonl, csv, parquet, arrow or folder: as asked, or by the suffix, or `ConfigError`."""
    if path.is_dir():
        return "folder"
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


def read_rows(path: Path, file_format: str, split: str = "train") -> Iterator[RawRow | Issue]:
    """Yield the rows of a file in file order, and an issue in place of each row that cannot be read.

    Text files are streamed line by line (a JSON array is read whole), tables in batches; `split` is that of a folder
    with several. `DataError` where the file as a whole is unreadable.
    """
    readers: dict[str, Callable[[Path], Iterator[RawRow | Issue]]] = {
        "jsonl": read_json,
        "csv": _read_csv,
        "parquet": read_parquet,
        "arrow": read_arrow,
        "folder": lambda folder: read_folder(folder, split),
    }
    try:
        _refuse_pointer(path)
        yield from readers[file_format](path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error}") from error


def _refuse_pointer(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_LFS)) == _LFS:
                raise DataError(f"'{path}' is a Git LFS pointer, not the file itself; run: git lfs pull")


class _CsvLines:
    """Feeds the csv module one physical line at a time and remembers how the file ended."""

    def __init__(self, path: Path) -> None:
        self.number = 0
        self.cut: Line | None = None
        self.ended = True
        self._path = path
        self._lines = read_lines(path)

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if line.stream_cut:
                self.cut = line
                return  # the rest of a row is no row: it is reported, not parsed
            refuse_cr(self._path, line)
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
            header = _checked_header(path, cells)
        else:
            yield _csv_row(path, lines, start, header, cells)
    if lines.cut is not None:
        yield cut_stream(path, lines.cut)


def _checked_header(path: Path, header: list[str]) -> list[str]:
    repeated = next((name for name in header if header.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"'{path}' has several columns named '{repeated}'; which one counts cannot be told: rename one")
    header = [name.strip() for name in header]
    other = next((sign for sign in _DELIMITERS if len(header) == 1 and sign in header[0]), None)
    if other is not None:
        raise DataError(
            f"the columns of '{path}' are separated by a {_DELIMITERS[other]} ({other!r}), not by a comma: its header "
            f"is {excerpt(header[0])}; save it with commas, or as JSONL"
        )
    return header


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
