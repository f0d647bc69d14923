"""An exported folder, read again: the plan's rows with the texts that the trainer was given."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from saerl_core.errors import ConfigError, DataError
from saerl_core.export.card import CARD_NAME, Card, Origin
from saerl_core.export.formats import find
from saerl_core.export.records import PlannedRow

_UNKNOWN = Origin(source=None, licence=None)


@dataclass(frozen=True)
class Exported:
    """The plan of a folder; `rows` are in the order of training, with the suffix of the policy's format."""

    card: Card
    rows: tuple[PlannedRow, ...]

    def batch(self, step: int) -> tuple[PlannedRow, ...]:
        """Return the rows of a step; none for a step that the plan does not have."""
        size = self.card.prompts_per_step
        return self.rows[max(step, 0) * size : (step + 1) * size] if step >= 0 else ()

    def own_text(self, row: PlannedRow) -> str:
        """Return the prompt as it was loaded, without the suffix of the policy's format."""
        reads = self.card.prompt_format
        return row.prompt if reads is None else row.prompt.removesuffix(reads.prompt_suffix)


def read_exported(folder: Path) -> Exported:
    """Read plan.json and the data file of an exported folder.

    Raises:
        ConfigError: the folder holds no export.
        DataError: the data file is not that of plan.json.
    """
    try:
        card = Card.model_validate_json((folder / CARD_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{folder} holds no {CARD_NAME} that `saerl export` wrote; name the exported folder that was trained on"
        ) from error
    form = find(card.format)
    found = [(_text(_at(row, form.prompt_in)), str(_at(row, form.answer_in))) for row in _rows(folder / form.data)]
    if len(found) != len(card.rows):
        raise DataError(
            f"{folder / form.data} has {len(found)} rows, but {CARD_NAME} names {len(card.rows)}; the folder was "
            "changed after the export: export the plan again"
        )
    rows = []
    for r, texts in zip(card.rows, found, strict=True):
        origin = card.origins.get(r.prompt_id, _UNKNOWN)
        rows.append(PlannedRow(r.row, r.step, r.slot, r.prompt_id, *texts, origin.source, origin.licence))
    return Exported(card, tuple(rows))


def _rows(path: Path) -> Iterable[Mapping[str, object]]:
    try:
        if path.suffix == ".parquet":
            return [{str(k): v for k, v in row.items()} for row in pd.read_parquet(path).to_dict("records")]
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    except (OSError, ValueError) as error:  # pyarrow's and JSON's errors are ValueErrors
        raise DataError(f"{path} cannot be read: {error}; export the plan again") from error


def _at(row: Mapping[str, object], path: str) -> object:
    value: object = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _text(prompt: object) -> str:
    """Return a prompt that is a text, or the last of its chat messages."""
    if isinstance(prompt, str):
        return prompt
    messages = list(prompt) if isinstance(prompt, Iterable) else []
    return str(messages[-1]["content"]) if messages else ""
