"""Features on disk: numpy arrays with JSON beside them; nothing is pickled."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy.sparse import csr_matrix

from saerl_core.disk import read_array
from saerl_core.errors import DataError
from saerl_core.features.saving import atomic_folder
from saerl_core.records import ControlFeatures, FeatureMeta, SaeFeatures

_META, _IDS, _DENSE, _ANGLES = "meta.json", "prompt_ids.json", "dense.npy", "concentration.npy"


class _FeaturesCard(BaseModel):
    """What meta.json holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    d_sae: int
    content_hash: str
    meta: FeatureMeta | None  # None: control features


def content_hash(features: SaeFeatures) -> str:
    """Return 16 hex digits of SHA-256 over ids, shape, values and origin."""
    return _hash(features.prompt_ids, features.matrix, None, features.meta)


def save_features(features: SaeFeatures, folder: Path) -> None:
    """Write the features atomically: data.npy float32, indices.npy int32, indptr.npy int64, ids and meta as JSON."""
    card = _card(features.prompt_ids, features.matrix, None, features.meta)
    with atomic_folder(folder, "the features", last=_META) as temporary:
        _write(temporary, features.prompt_ids, features.matrix, card)


def load_features(folder: Path) -> SaeFeatures:
    """Read what `save_features` wrote; `DataError` when a file is missing, damaged or was changed."""
    card, ids, matrix = _read(folder)
    if card.meta is None:
        raise DataError(f"folder '{folder}' holds control features; read them with load_control_features")
    _verify(folder, card, _hash(ids, matrix, None, card.meta))
    return SaeFeatures(ids, matrix, card.meta)


def save_control_features(controls: ControlFeatures, folder: Path) -> None:
    """Write the controls atomically: the random SAE's rows as for features, and dense.npy float32."""
    card = _card(controls.prompt_ids, controls.random_sae, controls.dense, None)
    with atomic_folder(folder, "the control features", last=_META) as temporary:
        np.save(temporary / _DENSE, np.ascontiguousarray(controls.dense, dtype=np.float32), allow_pickle=False)
        if controls.concentration is not None:
            np.save(temporary / _ANGLES, controls.concentration.astype(np.float64), allow_pickle=False)
        _write(temporary, controls.prompt_ids, controls.random_sae, card)


def load_control_features(folder: Path) -> ControlFeatures:
    """Read what `save_control_features` wrote; `DataError` when a file is missing, damaged or was changed."""
    card, ids, matrix = _read(folder)
    dense = _array(folder, _DENSE)
    _verify(folder, card, _hash(ids, matrix, dense, None))
    angles = _array(folder, _ANGLES) if (folder / _ANGLES).is_file() else None  # earlier versions measured none
    return ControlFeatures(ids, dense, matrix, angles)


def _card(
    ids: tuple[str, ...], matrix: csr_matrix, dense: np.ndarray | None, meta: FeatureMeta | None
) -> _FeaturesCard:
    return _FeaturesCard(
        n=matrix.shape[0], d_sae=matrix.shape[1], content_hash=_hash(ids, matrix, dense, meta), meta=meta
    )


def _write(folder: Path, ids: tuple[str, ...], matrix: csr_matrix, card: _FeaturesCard) -> None:
    for name, array in _arrays(matrix).items():
        np.save(folder / name, array, allow_pickle=False)
    (folder / _IDS).write_text(json.dumps(list(ids)), encoding="utf-8")
    (folder / _META).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _read(folder: Path) -> tuple[_FeaturesCard, tuple[str, ...], csr_matrix]:
    try:
        card = _FeaturesCard.model_validate(json.loads((folder / _META).read_text(encoding="utf-8")))
        ids = tuple(str(i) for i in json.loads((folder / _IDS).read_text(encoding="utf-8")))
        parts = (_array(folder, "data.npy"), _array(folder, "indices.npy"), _array(folder, "indptr.npy"))
        matrix = csr_matrix(parts, shape=(card.n, card.d_sae))
    except (OSError, ValueError, ValidationError) as error:
        raise DataError(f"folder '{folder}' holds no readable features: {error}; extract them again") from error
    return card, ids, matrix


def _array(folder: Path, name: str) -> np.ndarray:
    try:
        return read_array(folder / name)
    except (OSError, ValueError) as error:
        raise DataError(f"'{folder / name}' cannot be read: {error}; extract the features again") from error


def _verify(folder: Path, card: _FeaturesCard, found: str) -> None:
    if found != card.content_hash:
        raise DataError(
            f"features in '{folder}' are {found}, but {_META} names {card.content_hash}; extract them again"
        )


def _arrays(matrix: csr_matrix) -> dict[str, np.ndarray]:
    """Return the three arrays in their types on disk, whatever index type scipy chose in memory."""
    return {
        "data.npy": np.ascontiguousarray(matrix.data, dtype=np.float32),
        "indices.npy": np.ascontiguousarray(matrix.indices, dtype=np.int32),
        "indptr.npy": np.ascontiguousarray(matrix.indptr, dtype=np.int64),
    }


def _hash(ids: tuple[str, ...], matrix: csr_matrix, dense: np.ndarray | None, meta: FeatureMeta | None) -> str:
    origin = asdict(meta) if meta is not None else None
    digest = hashlib.sha256(json.dumps([list(ids), list(map(int, matrix.shape)), origin], sort_keys=True).encode())
    for array in _arrays(matrix).values():
        digest.update(array.data)
    if dense is not None:
        digest.update(np.ascontiguousarray(dense, dtype=np.float32).data)
    return digest.hexdigest()[:16]
