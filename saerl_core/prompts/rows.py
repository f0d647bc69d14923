"""The records inside this room: a row as it was read, a checked row, and what was odd about either."""

from collections.abc import Mapping
from dataclasses import dataclass

from saerl_core.errors import DataError


@dataclass(frozen=True)
class Settings:
    """How a person writes the settings that lead to one input: what the messages about it name."""

    columns: str = "prompts.columns"
    file: str = "prompts.source 'file' and prompts.path"
    dataset: str = "prompts.source 'hub' and prompts.dataset"
    to_check: str = "prompts.dataset, dataset_config, dataset_split"
    file_format: str | None = "prompts.format"  # None: the name of the file alone tells its format


POOL_SETTINGS = Settings()


@dataclass(frozen=True)
class Issue:
    """One line of `tables.ISSUES`; `rejected` means that the row never reaches the pool."""

    file: str
    line: int  # 1-based line of a text file, row of a parquet file or Hub data set; 0: the file as a whole
    reason: str
    detail: str
    rejected: bool = True


@dataclass(frozen=True)
class Suspicion:
    """One flag of a row and the reason for it; whether it makes the row unusable stands in `inspect.FLAGS`."""

    flag: str
    detail: str


@dataclass(frozen=True)
class RawRow:
    """One record of a file, keyed by the file's own column names."""

    line: int
    values: Mapping[str, object]
    suspicions: tuple[Suspicion, ...] = ()


@dataclass(frozen=True)
class Row:
    """One prompt with its answer; texts are as in the file, but the answer has no surrounding white space."""

    file: str
    line: int
    prompt: str
    answer: str
    topic: str | None = None
    level: float | None = None
    known_pass_rate: float | None = None
    quality_label: float | None = None
    source: str | None = None
    licence: str | None = None
    suspicions: tuple[Suspicion, ...] = ()


class AbsentColumnError(DataError):
    """A file has no column of the name that prompt or answer, or what a person renamed, was looked for under."""


class RejectedError(Exception):
    """A row that is no row of the pool, and why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def excerpt(text: str, n_chars: int = 80) -> str:
    """Quote the beginning of a text on one line, control characters escaped."""
    return repr(text) if len(text) <= n_chars else f"{text[:n_chars]!r}…"
