"""The lines of a rollout log, whatever trainer wrote it; what cannot be read is counted, with the first of its kind."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from saerl_core.errors import ConfigError, DataError
from saerl_core.export.logs import LogFormat, LogLine, NotALogLineError, Rollout


@dataclass(frozen=True)
class Log:
    """The rollouts of a log in the order in which they were written."""

    rollouts: tuple[Rollout, ...]
    n_lines: int  # blank ones apart
    went_back: bool  # a file returns to an earlier step: the training was resumed
    notes: tuple[str, ...]  # on lines that were left out


def read_log(path: Path, form: LogFormat) -> Log:
    """Read a file, or the files of a folder that the format names.

    Raises:
        ConfigError: there is no such file, or no log of this format in the folder.
        DataError: no line is one of this format.
    """
    rollouts: list[Rollout] = []
    left_out: Counter[str] = Counter()
    first: dict[str, str] = {}
    n_lines, went_back, fields = 0, False, ""
    for file in _files(path, form):
        last = -1
        for line in _lines(file):
            n_lines += 1
            if isinstance(line, _Unreadable):
                left_out[line.why] += 1
                first.setdefault(line.why, f"line {line.number} of {file.name}")
                continue
            try:
                rollout = form.read(line)
                if rollout is not None and rollout.step < 0:
                    raise NotALogLineError
            except NotALogLineError:
                left_out[_OTHER] += 1
                first.setdefault(_OTHER, f"line {line.number} of {file.name}")
                fields = fields or ", ".join(map(str, line.values))
                continue
            if rollout is not None:
                went_back, last = went_back or rollout.step < last, rollout.step
                rollouts.append(rollout)
    if not rollouts:
        saw = f"; the first has {fields}" if fields else ""
        raise DataError(
            f"none of the {n_lines} lines of {path} is one of {form.title}, which have {form.holds}{saw}; name the "
            "trainer that wrote the log with --format, or the folder of its rollouts"
        )
    notes = tuple(f"{n} of {n_lines} lines {why} and were left out, first {first[why]}" for why, n in left_out.items())
    return Log(tuple(rollouts), n_lines, went_back, notes)


_OTHER = "have not the fields of this format"


@dataclass(frozen=True)
class _Unreadable:
    number: int
    why: str


def _files(path: Path, form: LogFormat) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigError(f"there is no rollout log at '{path}'; name the file or the folder that the trainer wrote")
    found = [file for file in path.glob(form.files) if file.is_file()]
    if not found:
        raise ConfigError(
            f"folder {path} holds no rollout log of {form.title} ({form.files}); name the folder that the trainer "
            "wrote its rollouts to, or another format with --format"
        )
    return sorted(found, key=_in_number_order)


def _in_number_order(file: Path) -> tuple[str, tuple[int, ...], str]:
    """Sort 2.jsonl before 10.jsonl."""
    return str(file.parent), tuple(int(n) for n in re.findall(r"\d+", file.stem)), file.name


def _lines(file: Path) -> Iterator[LogLine | _Unreadable]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield _Unreadable(number, "end in the middle" if number == len(lines) else "are no JSON")
            continue
        yield LogLine(file, number, value) if isinstance(value, dict) else _Unreadable(number, "are no JSON objects")
