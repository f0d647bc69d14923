"""Extraction in parts: what one shard of the pool gives, and all of them merged to what one pass gives, bit by bit."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from saerl_core.config.run import FeaturesConfig
from saerl_core.errors import DataError
from saerl_core.features.extract import Counts, PooledPool, Rows, Wanted, finished, pool_all, read_text
from saerl_core.features.peaks import Peaks, PeakStore
from saerl_core.features.tokens import TokenizedPrompts
from saerl_core.records import ControlFeatures, FeaturesReport, PolicyRef, SaeFeatures, SaeRef
from saerl_core.shards import Shard, ShardResult, in_order, refuse_too_many

if TYPE_CHECKING:
    import pandas as pd

STAGE = "extract_sae_features"
_MATRICES = ("sae", "random_sae")
_CSR = ("data", "indices", "indptr")


def extract_shard(
    prompts: "pd.DataFrame", policy: PolicyRef, sae: SaeRef, config: FeaturesConfig, seed: int, shard: Shard
) -> ShardResult:
    """Extract the features, controls and peaks of the prompts in a shard of the pool's batches.

    Raises:
        ConfigError: there are more shards than prompts.
    """
    refuse_too_many(shard.n, len(prompts), "shards.features", "the pool has")
    text = read_text(prompts, policy, sae, config)
    wanted = Wanted((config.pooling,), controls=True, peaks=True)
    pooled = pool_all(text.tokens, text.ref, sae, config, seed, wanted, shard)
    rows, peaks, concentration = pooled.rows, pooled.peaks, pooled.concentration
    assert rows is not None and peaks is not None and concentration is not None  # noqa: PT018 (for mypy)
    sparse = {"sae": pooled.sae[config.pooling][rows], "random_sae": pooled.random_sae[config.pooling][rows]}
    arrays = {f"{name}.{part}": getattr(matrix, part) for name, matrix in sparse.items() for part in _CSR}
    arrays |= {f"peaks.{column.name}": getattr(peaks, column.name) for column in fields(Peaks)}
    arrays |= {"rows": rows, "dense": pooled.dense[config.pooling][rows], "concentration": concentration[rows]}
    numbers = {name: float(value) for name, value in asdict(pooled.counts).items()}
    return ShardResult(STAGE, shard, arrays, numbers={**numbers, "d_sae": float(sparse["sae"].shape[1])})


def merge_features(
    prompts: "pd.DataFrame", policy: PolicyRef, sae: SaeRef, config: FeaturesConfig, parts: Sequence[ShardResult]
) -> tuple[SaeFeatures, ControlFeatures, FeaturesReport, "pd.DataFrame"]:
    """Put the shards together, in the order of the pool: what `extract_named_features` returns without shards.

    Raises:
        DataError: the shards are not those of this pool.
    """
    parts = in_order(parts)
    text = read_text(prompts, policy, sae, config)
    pooled = _merged(text.tokens, config, parts)
    seconds = sum(part.seconds for part in parts)
    features, controls, report, names = finished(prompts, policy, sae, config, text, pooled, max(seconds, 1e-9))
    assert controls is not None and names is not None  # noqa: PT018 (for mypy)
    n_idle = sum(len(part.arrays["rows"]) == 0 for part in parts)
    notes = [f"Read in {len(parts)} shards; the seconds are those of all of them together."]
    if n_idle:
        notes.append(
            f"{n_idle} of {len(parts)} shards had nothing to do: the pool makes only {len(parts) - n_idle} batches of "
            f"features.batch_tokens = {config.batch_tokens}, and a batch is not divided."
        )
    return features, controls, report.model_copy(update={"notes": (*notes, *report.notes)}), names


def _merged(tokens: TokenizedPrompts, config: FeaturesConfig, parts: Sequence[ShardResult]) -> PooledPool:
    rows = [part.arrays["rows"] for part in parts]
    n, d_sae = len(tokens.ids), int(parts[0].numbers["d_sae"])
    _check_complete(tokens, np.concatenate(rows))
    sparse = {}
    for name in _MATRICES:
        pieces = [
            csr_matrix(tuple(p.arrays[f"{name}.{a}"] for a in _CSR), shape=(len(r), d_sae))
            for p, r in zip(parts, rows, strict=True)
        ]
        sparse[name] = Rows({config.pooling: pieces}).in_order(rows, (n, d_sae))
    dense = np.zeros((n, parts[0].arrays["dense"].shape[1]), dtype=np.float32)
    concentration = np.zeros(n)
    store = PeakStore(tokens.prompt_ids, d_sae)
    for part, of in zip(parts, rows, strict=True):
        dense[of], concentration[of] = part.arrays["dense"], part.arrays["concentration"]
        store.join(Peaks(*(part.arrays[f"peaks.{column.name}"] for column in fields(Peaks))))
    counts = Counts(**{c.name: sum(int(part.numbers[c.name]) for part in parts) for c in fields(Counts)})
    counts.n_empty_prompts = int((tokens.run_lengths == 0).sum())  # every shard has counted all of them
    pooled = {config.pooling: dense}
    return PooledPool(sparse["sae"], sparse["random_sae"], pooled, counts, concentration, store.peaks())


def _check_complete(tokens: TokenizedPrompts, rows: np.ndarray) -> None:
    if not np.array_equal(np.sort(rows), np.flatnonzero(tokens.run_lengths > 0)):
        raise DataError(
            f"the shards hold features of {len(rows)} prompts, but the pool has {int((tokens.run_lengths > 0).sum())} "
            "with text, or others; extract the shards of this pool"
        )
