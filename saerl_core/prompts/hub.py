"""Rows of a Hugging Face data set: a Hub name, or a local folder in a layout that `datasets` knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from saerl_core.config.run import ColumnMap
from saerl_core.errors import DataError
from saerl_core.prompts.arrow import with_names
from saerl_core.prompts.columns import OTHER_LICENCE, check_columns
from saerl_core.prompts.fields import roots
from saerl_core.prompts.layouts import AS_WRITTEN, Layout, recognise
from saerl_core.prompts.rows import POOL_SETTINGS, RawRow, Settings

if TYPE_CHECKING:
    from datasets import Dataset


def read_hub(
    name: str, config: str | None, split: str, columns: ColumnMap, settings: Settings = POOL_SETTINGS
) -> Iterator[RawRow]:
    """Yield the rows of one split, numbered from 1; only the mapped columns are decoded.

    `DataError` where the data set cannot be had: offline, misspelt, gated, without that split, or of mixed types.
    """
    with _quiet():
        data = _load(name, config, split, settings)
        mapped = _layout_of(data, columns).mapped(columns)
        paths = [path for path in (*dict(mapped).values(), OTHER_LICENCE) if path is not None]
        wanted = dict.fromkeys(c for path in paths for c in roots(path, data.column_names) if c in data.column_names)
        complete = {path for path in paths if set(roots(path, data.column_names)) <= set(data.column_names)}
        check_columns(mapped, data.column_names, name, settings, complete, columns.model_fields_set)
        names = _label_names(data)
        for i, values in enumerate(data.select_columns(list(wanted))):
            yield RawRow(i + 1, with_names(values, names))


def _layout_of(data: "Dataset", columns: ColumnMap) -> Layout:
    """Tell the layout by the first row, without decoding images or sounds."""
    plain = [name for name, feature in data.features.items() if not hasattr(feature, "decode_example")]
    if not len(data) or not plain:
        return AS_WRITTEN
    return recognise(with_names(data.select_columns(plain)[0], _label_names(data)), columns)


def _label_names(data: "Dataset") -> dict[str, list[str]]:
    return {name: list(f.names) for name, f in data.features.items() if type(f).__name__ == "ClassLabel"}


def _load(name: str, config: str | None, split: str, settings: Settings) -> "Dataset":
    try:
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
    except ImportError as error:
        raise DataError(f"{settings.dataset} needs the package 'datasets'; install saerl[models]") from error
    try:
        return load_dataset(name, config, split=split)
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:  # network failures are OSError
        raise DataError(_explain(name, config, split, settings, error)) from error


def _explain(name: str, config: str | None, split: str, settings: Settings, error: Exception) -> str:
    from datasets import config as datasets_config

    text = " ".join(str(error).split())[:300]
    where = f"data set '{name}'" + (f", config '{config}'" if config else "") + f", split '{split}'"
    if Path(name).exists():
        way = f"or name one of its files with {settings.file}"
        return f"{where} is a local folder that `datasets` cannot read ({text}); {way}"
    if datasets_config.HF_HUB_OFFLINE:
        way = f"set HF_HUB_OFFLINE=0 to allow the download, or give a local file with {settings.file}"
        return f"{where} is not in the local cache and the Hugging Face libraries are offline; {way}"
    way = f"check {settings.to_check} and the network, or use {settings.file}"
    return f"{where} cannot be loaded ({type(error).__name__}: {text}); {way}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the progress bars and warnings of `datasets` while it loads; ours says what happens."""
    try:
        import datasets
    except ImportError:  # _load says so
        yield
        return
    level = datasets.logging.get_verbosity()
    had_bars = datasets.is_progress_bar_enabled()
    datasets.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if had_bars:
            datasets.enable_progress_bars()
