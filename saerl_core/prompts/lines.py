r"""Physical lines of a plain or gzipped file, split at `\n` and nowhere else.

`str.splitlines` and text-mode iteration of other libraries also split at U+000C, U+0085 or U+2028, which occur inside
fields; bytes are split here before anything is decoded. A gzip stream that stops early yields all of its whole lines
and then says so: nothing gets lost without a word.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from saerl_core.errors import DataError

_CHUNK_BYTES = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Line:
    """One line without its end."""

    number: int  # 1-based
    data: bytes
    ended: bool  # a line end follows; False: the last line, with no newline after it
    stream_cut: bool = False  # the gzip stream broke off here: `data` is what was left, and may be empty


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file, gzipped or not (told by its first bytes, not by its name).

    A UTF-8 byte order mark is dropped. `DataError` for UTF-16, for a file named .gz that is none, and for a gzip stream
    that is damaged rather than cut.
    """
    with path.open("rb") as raw:
        head = raw.read(len(_GZIP_MAGIC))
        raw.seek(0)
        if head == _GZIP_MAGIC:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield from _split(path, stream)
            return
        if path.suffix == ".gz" and head:
            raise DataError(f"'{path}' is named .gz but is not a gzip file; rename it, or copy it again")
        yield from _split(path, raw)


def _split(path: Path, stream: io.BufferedIOBase) -> Iterator[Line]:
    number, pending, cut = 1, bytearray(), False
    scanned = 0  # the part of `pending` that is known to hold no line end: a long line is not searched twice
    while True:
        chunk, cut = _next_chunk(path, stream)
        pending += chunk
        if number == 1 and scanned == 0:
            _drop_bom(path, pending)
        start = 0
        while (end := pending.find(b"\n", max(start, scanned))) >= 0:
            yield Line(number, bytes(pending[start:end]), ended=True)
            number, start = number + 1, end + 1
        del pending[:start]
        scanned = len(pending)
        if cut or not chunk:
            break
    if pending or cut:
        yield Line(number, bytes(pending), ended=False, stream_cut=cut)


def _next_chunk(path: Path, stream: io.BufferedIOBase) -> tuple[bytes, bool]:
    """Return the next bytes, and whether the gzip stream broke off instead of ending."""
    try:
        return stream.read1(_CHUNK_BYTES), False  # read1 hands over what there is before it fails
    except EOFError:
        return b"", True
    except (zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"'{path}' is a damaged gzip file ({error}); copy or download it again") from error


def _drop_bom(path: Path, pending: bytearray) -> None:
    if pending.startswith(_BOM):
        del pending[: len(_BOM)]
    if pending.startswith(_WIDE_BOMS):
        raise DataError(f"'{path}' is encoded in UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
