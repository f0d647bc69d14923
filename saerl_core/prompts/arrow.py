"""Rows of Arrow tables: parquet, .arrow files, and folders that `Dataset.save_to_disk` wrote.

Indices of a ClassLabel column become its names, which the Hugging Face libraries keep in the schema.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saerl_core.errors import ConfigError, DataError
from saerl_core.prompts.rows import RawRow

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1024


def is_saved_dataset(path: Path) -> bool:
    """Tell whether a folder was written by `save_to_disk`, with one split or several."""
    return any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))


def read_parquet(path: Path) -> Iterator[RawRow]:
    """Yield the rows of a parquet file; `DataError` where it is cut, no parquet, or has two columns of one name."""
    import pyarrow.parquet as pq

    def batches() -> "Iterator[pa.RecordBatch]":
        with pq.ParquetFile(path) as table:
            yield from table.iter_batches(batch_size=_BATCH_ROWS)

    yield from _rows(path, "parquet file", batches())


def read_arrow(path: Path) -> Iterator[RawRow]:
    """Yield the rows of an .arrow file, in the stream format (as `datasets` writes it) or the file format."""
    yield from _rows(path, "arrow file", _arrow_batches([path]))


def read_folder(path: Path, split: str) -> Iterator[RawRow]:
    """Yield the rows of a folder of `save_to_disk`.

    Raises:
        ConfigError: the folder holds several splits and this is none of them.
    """
    if (path / "dataset_dict.json").is_file():
        splits = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8")).get("splits", [])
        if split not in splits:
            raise ConfigError(f"prompts.dataset_split is '{split}', but '{path}' has the splits {splits}; name one")
        path = path / split
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    files = [path / str(entry["filename"]) for entry in state.get("_data_files", [])]
    yield from _rows(path, "saved data set", _arrow_batches(files or sorted(path.glob("*.arrow"))))


def _arrow_batches(files: Iterable[Path]) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    for file in files:
        with pa.memory_map(str(file)) as source:
            try:
                yield from pa.ipc.open_stream(source)
            except pa.ArrowInvalid:
                source.seek(0)
                table = pa.ipc.open_file(source)
                yield from (table.get_batch(i) for i in range(table.num_record_batches))


def _rows(path: Path, kind: str, batches: "Iterator[pa.RecordBatch]") -> Iterator[RawRow]:
    import pyarrow as pa

    number = 0
    names: dict[str, list[str]] = {}
    try:
        for batch in batches:
            if number == 0:
                _refuse_repeated(path, batch.schema.names)
                names = label_names(batch.schema.metadata)
            narrow = [field.name for field in batch.schema if pa.types.is_float32(field.type)]
            for values in batch.to_pylist():
                number += 1
                for name in narrow:  # .1 in 32 bits is no .10000000149
                    values[name] = None if values[name] is None else float(str(np.float32(values[name])))
                yield RawRow(number, with_names(values, names))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        where = f"after row {number}" if number else "before its first row"
        raise DataError(
            f"'{path}' is truncated or is no {kind} ({where}: {error}); copy or download it again"
        ) from error


def _refuse_repeated(path: Path, columns: list[str]) -> None:
    repeated = [name for name, n in Counter(columns).items() if n > 1]
    if repeated:
        raise DataError(
            f"'{path}' has several columns named '{repeated[0]}'; which one counts cannot be told: rename one"
        )


def label_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Return the names of the ClassLabel columns that a schema's metadata describe."""
    try:
        features: Any = json.loads((metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    except (ValueError, AttributeError):
        return {}
    return {
        column: [str(name) for name in feature["names"]]
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
    }


def with_names(values: Mapping[str, object], names: Mapping[str, list[str]]) -> dict[str, object]:
    """Return the row with a class's name in place of its index; an index without a name (-1) is no value."""
    found = dict(values)
    for column, known in names.items():
        index = found.get(column)
        if isinstance(index, int):
            found[column] = known[index] if 0 <= index < len(known) else None
    return found
