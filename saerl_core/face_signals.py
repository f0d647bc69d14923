"""Signals as a person has them, in tables of signals as a plan reads them; what is missing is neutral, and told."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64

from saerl_core.config.run import DifficultyConfig, StrategySettings
from saerl_core.errors import DataError
from saerl_core.records import PromptVectors
from saerl_core.schema import TableSchema
from saerl_core.signals.difficulty import rank_inside
from saerl_core.signals.labels import data_label, read_labels
from saerl_core.signals.vectors import surface, whitened
from saerl_core.tables import CLUSTERS, DIFFICULTY, PROMPTS, QUALITY

Signal = str | pd.DataFrame | pd.Series | np.ndarray | Sequence[object]

SIGNAL_COLUMNS = ("quality", "keep", "cluster", "difficulty", "n_rollouts")  # of rows; they go with the prompts
_NAMES = {
    "quality": ("keep", "quality", "quality_score", "quality_label"),
    "clusters": ("cluster", "cluster_id"),
    "difficulty": ("difficulty", "pass_rate"),
}
_MISSING = {
    "quality": "no quality was given: no prompt is left out for it",
    "clusters": "no clusters were given: all prompts are one cluster; a column will do, such as clusters='topic'",
    "difficulty": "no difficulty, pass rate or level was given: all prompts count as equally hard",
}
_READS = {"clusters": ("cluster_id",), "difficulty": ("difficulty", "calibrated")}
_FILL: Mapping[str, object] = {
    "prompt": "",
    "answer": "",
    "source": "",
    "conflict": False,
    "contamination": 0.0,
    "flags": "",
    "usable": True,
}
_WORDS: Mapping[str, float] = {"true": 1.0, "false": 0.0, "": np.nan}


@dataclass(frozen=True)
class SignalTables:
    """The prompts and one table a signal; `missing` names the signals that nobody gave."""

    prompts: pd.DataFrame  # tables.PROMPTS
    quality: pd.DataFrame  # tables.QUALITY
    clusters: pd.DataFrame  # tables.CLUSTERS
    difficulty: pd.DataFrame  # tables.DIFFICULTY
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def pool_of(prompts: pd.DataFrame) -> pd.DataFrame:
    """Return the prompts with every column of `tables.PROMPTS`; of a user's own table only `prompt_id` is needed."""
    pool = prompts.copy()
    for name in PROMPTS.columns:
        if name not in pool:
            pool[name] = pd.Series([_FILL.get(name)] * len(pool), index=pool.index, dtype=object)
    return pool


def signal_tables(
    pool: pd.DataFrame,
    quality: Signal | None,
    clusters: Signal | None,
    difficulty: Signal | None,
    min_quality: float,
) -> SignalTables:
    """Return the tables that a plan joins; `DataError` where a signal does not fit the prompts."""
    prompts = PROMPTS.check(pool[list(PROMPTS.columns)])
    notes: list[str] = []
    missing: list[str] = []
    q, c, d = _whole(QUALITY, quality), _whole(CLUSTERS, clusters), _whole(DIFFICULTY, difficulty)
    if q is None:
        values = _values(pool, "quality", quality)
        missing += ["quality"] if values is None else []
        q = _quality(prompts, values, min_quality, notes)
    if c is None:
        values = _values(pool, "clusters", clusters)
        missing += ["clusters"] if values is None else []
        c = _clusters(prompts, values)
    if d is None:
        values = _difficulty(pool, prompts, difficulty, notes)
        missing += ["difficulty"] if values is None else []
        d = _difficulty_table(prompts, values, c, notes)
    return SignalTables(prompts, q, c, d, tuple(missing), tuple(notes))


def described(missing: Iterable[str]) -> tuple[str, ...]:
    """Say in a sentence each what was taken for granted."""
    return tuple(_MISSING[name] for name in missing)


def warn(missing: Iterable[str], signals: Sequence[str], settings: StrategySettings) -> None:
    """Warn of each signal that nobody gave and that the strategy goes by; without a quality nothing is left out."""
    for name in missing:
        if any(signal in signals for signal in _READS.get(name, ())):
            warnings.warn(f"strategy '{settings.name}' goes by {name}, but {_MISSING[name]}", stacklevel=3)


def vectors_for(
    prompts: pd.DataFrame, settings: StrategySettings, given: PromptVectors | np.ndarray | None, seed: int
) -> tuple[PromptVectors | None, tuple[str, ...]]:
    """Return what the strategy may know of each prompt, and the sentence that says where it comes from."""
    wanted = settings.vectors()
    if wanted is None or isinstance(given, PromptVectors):
        return given if isinstance(given, PromptVectors) else None, ()
    ids = tuple(str(p) for p in prompts["prompt_id"])
    if given is not None:
        matrix = np.asarray(given, dtype=np.float64)
        if matrix.ndim != 2 or len(matrix) != len(ids) or not np.isfinite(matrix).all():
            raise DataError(
                f"vectors are an array of shape {matrix.shape}; give one row of finite numbers for each of the "
                f"{len(ids)} prompts, in their order"
            )
        return PromptVectors(ids, matrix), ()
    texts = [str(text) for text in prompts["prompt"]]
    if wanted.features == "none" or len(set(texts)) < 3:
        return PromptVectors(ids, np.zeros((len(ids), 0))), ("prompts share nothing: each is known only once tried",)
    matrix = whitened(surface(texts), wanted.n_components, seed)
    return PromptVectors(ids, matrix), ("no vectors were given: they are TF-IDF and length of the prompts",)


def _whole(schema: TableSchema, given: Signal | None) -> pd.DataFrame | None:
    """Return the signal's table where a whole one was given."""
    if isinstance(given, pd.DataFrame) and set(schema.columns) <= set(given):
        return schema.check(given[list(schema.columns)])
    return None


def _values(pool: pd.DataFrame, what: str, given: Signal | None) -> pd.Series | None:
    """Return one value a prompt in the pool's order, or None where nobody gave any."""
    names = _NAMES[what]
    if given is None:
        name = next((n for n in names if n in pool and pool[n].notna().any()), None)
        return None if name is None else pool[name].reset_index(drop=True).rename(name)
    if isinstance(given, str):
        if given == "pass_rate" and given not in pool:
            given = "known_pass_rate"  # what a file's column `pass_rate` is called once its prompts are loaded
        if given not in pool:
            raise DataError(f"{what} is '{given}', but the prompts have no such column; they have {list(pool.columns)}")
        if pool[given].isna().all():
            raise DataError(f"{what} is '{given}', but no prompt has a value in this column; leave it out or fill it")
        return pool[given].reset_index(drop=True).rename(given)
    ids = pool["prompt_id"].astype(str)
    if isinstance(given, pd.DataFrame):
        return _of_table(given, ids, what)
    if isinstance(given, pd.Series) and not given.index.equals(pool.index) and ids.isin(given.index).any():
        return given.reindex(ids).reset_index(drop=True).rename(what)
    values = list(given)
    if len(values) != len(pool):
        raise DataError(f"{what} has {len(values)} values for {len(pool)} prompts; give one for each, in their order")
    return pd.Series(values, name="keep" if what == "quality" and _is_bool(values) else what)


def _of_table(given: pd.DataFrame, ids: pd.Series, what: str) -> pd.Series:
    """Return a column of a table of one row a prompt; prompts that it lacks have no value."""
    name = next((n for n in _NAMES[what] if n in given), None)
    if "prompt_id" not in given or name is None:
        raise DataError(
            f"the table of {what} has the columns {list(given.columns)}; it needs prompt_id and one of "
            f"{list(_NAMES[what])}"
        )
    by_id = given.set_index(given["prompt_id"].astype(str))[name]
    if not by_id.index.is_unique or not ids.isin(by_id.index).any():
        raise DataError(
            f"the table of {what} has a prompt_id twice, or none of the {len(ids)} prompts; it needs one row a prompt"
        )
    return by_id.reindex(ids).reset_index(drop=True).rename(name)


def _is_bool(values: Sequence[object]) -> bool:
    return all(isinstance(value, bool | np.bool_) for value in values)


def _quality(prompts: pd.DataFrame, values: pd.Series | None, min_quality: float, notes: list[str]) -> pd.DataFrame:
    """Return `tables.QUALITY`; a prompt without a value is kept."""
    score = pd.Series(1.0, index=prompts.index) if values is None else _numbers(values, "quality")
    if ((score < 0) | (score > 1)).any():
        raise DataError(
            f"quality runs from {score.min():g} to {score.max():g}; give numbers from 0 to 1, 1 is good, or a column "
            "'keep' of true and false"
        )
    keep = score.isna() | (score >= (min_quality if values is not None and values.name != "keep" else 0.5))
    if values is not None and score.isna().any():
        notes.append(f"{int(score.isna().sum())} of {len(score)} prompts have no quality and are kept")
    return QUALITY.check(prompts[["prompt_id"]].assign(quality_score=score.fillna(1.0), keep=keep))


def _clusters(prompts: pd.DataFrame, values: pd.Series | None) -> pd.DataFrame:
    """Return `tables.CLUSTERS`; whole numbers stay, names are numbered, prompts without one are a cluster."""
    if values is None:
        numbers = np.zeros(len(prompts), dtype=np.int64)
    else:
        try:
            as_floats = values.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            as_floats = np.full(len(values), -1.0)
        last = np.nanmax(as_floats, initial=-1.0) + 1
        filled = np.where(np.isnan(as_floats), last, as_floats)
        is_whole = bool((filled >= 0).all() and (filled % 1 == 0).all())
        names = sorted({str(v) for v in values.dropna()})
        where = {name: i for i, name in enumerate(names)}
        named = [len(names) if pd.isna(v) else where[str(v)] for v in values]
        numbers = filled.astype(np.int64) if is_whole else np.array(named, dtype=np.int64)
    return CLUSTERS.check(prompts[["prompt_id"]].assign(cluster_id=numbers, centroid_distance=0.0))


def _difficulty(pool: pd.DataFrame, prompts: pd.DataFrame, given: Signal | None, notes: list[str]) -> pd.Series | None:
    """Return the difficulty of each prompt, from a difficulty, a pass rate or a level; NaN where there is none."""
    values = _values(pool, "difficulty", given)
    if values is not None and given is None and not _is_numeric(values):
        notes.append(f"the column '{values.name}' holds no numbers and is not read; give difficulty= yourself")
        values = None
    if values is None:
        label = data_label(prompts, at_least=1)
        config = DifficultyConfig.model_validate({"label": label or "none"})
        return pd.Series(read_labels(prompts, None, config, 0).known) if label else None
    numbers = _numbers(values, "difficulty")
    if values.name in ("known_pass_rate", "pass_rate"):
        return 1.0 - numbers
    lo, hi = float(numbers.min()), float(numbers.max())
    if values.name != "level" and not (lo < 0 or hi > 1):
        return numbers
    notes.append(f"difficulty runs from {lo:g} to {hi:g}: these became 0 and 1; higher counts as harder")
    return (numbers - lo) / (hi - lo) if hi > lo else numbers.where(numbers.isna(), 0.5)


def _difficulty_table(
    prompts: pd.DataFrame, values: pd.Series | None, clusters: pd.DataFrame, notes: list[str]
) -> pd.DataFrame:
    """Return `tables.DIFFICULTY`; prompts without a value are as hard as the mean of the others."""
    given = pd.Series(np.nan, index=prompts.index) if values is None else values
    is_labelled = given.notna()
    mean = float(given.mean()) if is_labelled.any() else 0.5
    if values is not None and not is_labelled.all():
        notes.append(
            f"{int((~is_labelled).sum())} of {len(given)} prompts have no difficulty and count as hard as the mean of "
            f"the others, {mean:.2f}"
        )
    filled: Float64[np.ndarray, " n"] = given.fillna(mean).to_numpy(dtype=np.float64)
    cluster_of = clusters.set_index("prompt_id")["cluster_id"].reindex(prompts["prompt_id"])
    if cluster_of.isna().any():
        raise DataError("the table of clusters lacks prompts of the pool; cluster all of them")
    ranks = rank_inside(filled, cluster_of.to_numpy(dtype=np.int64))
    table = prompts[["prompt_id"]].assign(difficulty=filled, predicted=filled, calibrated=ranks)
    return DIFFICULTY.check(table.assign(is_labelled=is_labelled.to_numpy()))


def _is_numeric(values: pd.Series) -> bool:
    try:
        _numbers(values, "")
    except DataError:
        return False
    return True


def _numbers(values: pd.Series, what: str) -> pd.Series:
    """Return the values as numbers, the words true and false (of a CSV file) as 1 and 0."""
    words = values.map(lambda value: _WORDS.get(value.strip().lower(), value) if isinstance(value, str) else value)
    try:
        numbers = pd.Series(words.to_numpy(dtype=np.float64, na_value=np.nan), name=values.name)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} holds what is no number ({error}); give numbers from 0 to 1") from error
    if np.isinf(numbers).any():
        raise DataError(f"{what} holds infinite values; give numbers from 0 to 1, or None where there is none")
    return numbers
