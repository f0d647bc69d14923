"""Parts of a pool that are read one by one, each maybe on a machine of its own, and put together again.

A shard is a run of whole batches, the same batches that are made without shards: arithmetic depends on what is padded
together, so results are equal to the last bit only where batches are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from saerl_core.errors import ConfigError, DataError

T = TypeVar("T")
FILE = "shard.safetensors"


@dataclass(frozen=True)
class Shard:
    """Part number `index` of `n`, counted from 1."""

    index: int = 1
    n: int = 1

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Return this part of the items: contiguous, and as long as the others or one shorter; empty if n is larger."""
        return items[(self.index - 1) * len(items) // self.n : self.index * len(items) // self.n]

    def __str__(self) -> str:
        """Return what a person calls it."""
        return f"shard {self.index} of {self.n}"


WHOLE = Shard()


@dataclass(frozen=True)
class ShardResult:
    """What came of one shard: named arrays, texts and numbers, which `stage` knows how to merge."""

    stage: str
    shard: Shard
    arrays: Mapping[str, np.ndarray]
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    damage: str = ""  # why there is nothing else, in a sentence with the way out: `in_order` raises it


class _Card(BaseModel):
    """What stands in the head of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    index: int
    n: int
    texts: dict[str, tuple[str, ...]]
    numbers: dict[str, float]
    seconds: float
    content_hash: str


def refuse_too_many(n: int, n_prompts: int, setting: str, what: str) -> None:
    """Raise `ConfigError` where there are more shards than prompts; `what` names the prompts: "the pool has"."""
    if n > n_prompts:
        raise ConfigError(f"{setting} is {n}, but {what} {n_prompts} prompts; set it to at most {n_prompts}")


def in_order(parts: Sequence[ShardResult]) -> list[ShardResult]:
    """Return the shards by number; `DataError` where one is damaged, or they are not all parts of one pool."""
    for part in parts:
        if part.damage:
            raise DataError(part.damage)
    found = sorted(parts, key=lambda part: part.shard.index)
    n = len(found)
    if [part.shard for part in found] != [Shard(i, n) for i in range(1, n + 1)]:
        raise DataError(f"{', '.join(str(part.shard) for part in found)} are not the parts of one pool; run them again")
    return found


def content_hash(result: ShardResult) -> str:
    """Return 16 hex digits of SHA-256 over everything but the seconds."""
    told = [result.stage, result.shard.index, result.shard.n, dict(result.texts), dict(result.numbers)]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(result.arrays):
        array = np.ascontiguousarray(result.arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def save_shard(result: ShardResult, folder: Path) -> None:
    """Write a shard as one file with its hash in the head."""
    card = _Card(
        stage=result.stage,
        index=result.shard.index,
        n=result.shard.n,
        texts=dict(result.texts),
        numbers=dict(result.numbers),
        seconds=result.seconds,
        content_hash=content_hash(result),
    )
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.ascontiguousarray(array) for name, array in result.arrays.items()}
    save_file(arrays, folder / FILE, metadata={"card": card.model_dump_json()})


def load_shard(folder: Path) -> ShardResult:
    """Read what `save_shard` wrote; `DataError` where the file is missing, damaged or was changed."""
    path = folder / FILE
    try:
        with safe_open(path, framework="numpy") as file:
            card = _Card.model_validate_json((file.metadata() or {}).get("card", ""))
        arrays = load_file(path)
    except (SafetensorError, OSError, ValidationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"'{path}' cannot be read ({reason})") from error
    result = ShardResult(card.stage, Shard(card.index, card.n), arrays, card.texts, card.numbers, card.seconds)
    if content_hash(result) != card.content_hash:
        raise DataError(
            f"'{path}' is damaged: its content is {content_hash(result)}, its head names {card.content_hash}"
        )
    return result
