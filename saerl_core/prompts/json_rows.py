"""Rows of JSON: one object or conversation a line, or one array of them.

A row that is a list of chat turns has them in the column `conversation`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from saerl_core.errors import DataError
from saerl_core.prompts.lines import Line, read_lines
from saerl_core.prompts.messages import read_messages
from saerl_core.prompts.rows import Issue, RawRow, excerpt

CONVERSATION = "conversation"


class _RepeatedKeyError(Exception):
    """One name stands twice in an object."""


def read_json(path: Path) -> Iterator[RawRow | Issue]:
    """Yield the rows of a JSON file in file order, and an issue in place of each that cannot be read.

    Rows of an array are numbered from 1. `DataError` where the file is an array that does not close.
    """
    lines = read_lines(path)
    first = next(lines, None)
    if first is None:
        return
    refuse_cr(path, first)
    if first.data.lstrip().startswith(b"["):
        yield from _array(path, first, lines)
        return
    yield from _line(path, first)
    for line in lines:
        yield from _line(path, line)


def refuse_cr(path: Path, line: Line) -> None:
    """Raise `DataError` for a file whose lines end with a carriage return alone, as old Macs wrote them."""
    if line.number == 1 and not line.ended and b"\r" in line.data.rstrip(b"\r"):
        raise DataError(f"the lines of '{path}' end with CR only; convert them with: tr '\\r' '\\n' < {path.name}")


def _line(path: Path, line: Line) -> Iterator[RawRow | Issue]:
    if line.stream_cut:
        yield cut_stream(path, line)
    elif not line.data.strip():
        yield Issue(path.name, line.number, "blank_line", "the line is empty")
    else:
        yield _parsed(path, line)


def _parsed(path: Path, line: Line) -> RawRow | Issue:
    try:
        value = _loads(line.data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return not_utf8(path, line.number, error.start, line.data)
    except _RepeatedKeyError as error:
        return Issue(path.name, line.number, "repeated_key", str(error))
    except (ValueError, RecursionError) as error:  # also integers beyond Python's digit limit
        if line.ended:
            return Issue(path.name, line.number, "unreadable_json", str(error))
        detail = f"the last line has no newline and is not complete JSON; the file is cut here ({error})"
        return Issue(path.name, line.number, "truncated_row", detail)
    return _row(path, line.number, value)


def _row(path: Path, number: int, value: object) -> RawRow | Issue:
    if isinstance(value, dict):
        return RawRow(number, value)
    if read_messages(value) is not None:
        return RawRow(number, {CONVERSATION: value})
    detail = f"the row is a JSON {type(value).__name__}, neither an object nor chat turns: {excerpt(str(value))}"
    return Issue(path.name, number, "unreadable_json", detail)


def _array(path: Path, first: Line, lines: Iterator[Line]) -> Iterator[RawRow | Issue]:
    """Read a file that begins with a bracket: one array of rows, or one conversation a line."""
    try:
        value = _loads(first.data.decode("utf-8"))
    except (ValueError, RecursionError, _RepeatedKeyError):
        yield from _whole(path, [first, *lines])
        return
    if read_messages(value) is not None:  # a conversation a line
        yield _row(path, 1, value)
        for line in lines:
            yield from _line(path, line)
        return
    rest = [line for line in lines if line.data.strip()]
    yield from _whole(path, [first, *rest])


def _whole(path: Path, lines: list[Line]) -> Iterator[RawRow | Issue]:
    try:
        value = _loads(b"\n".join(line.data for line in lines).decode("utf-8"))
    except _RepeatedKeyError as error:
        raise DataError(f"'{path}': {error}; which one counts cannot be told: rename or remove one") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"'{path}' begins as a JSON array, but is none as a whole ({error}); it is cut, or holds several arrays"
        ) from error
    if not isinstance(value, list):
        raise DataError(f"'{path}' holds a JSON {type(value).__name__}, not an array of rows")
    for number, element in enumerate(value, start=1):
        yield _row(path, number, element)


def _loads(text: str) -> object:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _RepeatedKeyError(f"the key '{repeated}' stands twice in one object, with which value nobody can tell")
    return found


def not_utf8(path: Path, number: int, offset: int, data: bytes) -> Issue:
    """Return the issue of a line that is not UTF-8."""
    detail = f"byte {offset} of the line ({data[offset : offset + 1]!r}) is not UTF-8; convert the file to UTF-8"
    return Issue(path.name, number, "wrong_encoding", detail)


def cut_stream(path: Path, line: Line) -> Issue:
    """Return the issue of a gzip stream that breaks off."""
    detail = f"the gzip stream breaks off in this line, after {len(line.data)} of its bytes; rows from here on are lost"
    return Issue(path.name, line.number, "truncated_gzip", detail)
