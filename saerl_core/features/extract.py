"""SAE features of a pool: one sparse row a prompt, and the controls from the same forward pass."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix, vstack

from saerl_core.config.run import FeaturesConfig
from saerl_core.errors import ConfigError
from saerl_core.features.activations import ActivationBatch, stream_activations
from saerl_core.features.encoder import Encoder, LinearEncoder, encode_codes, open_encoder, random_encoder
from saerl_core.features.models import load_lower_model, read_shape, resolve_device, resolve_model
from saerl_core.features.naming import name_latents
from saerl_core.features.peaks import Peaks, PeakStore
from saerl_core.features.pooling import POOLINGS, Pooling, angle_concentration, pool_codes, pool_dense
from saerl_core.features.sae_folder import recorded_l0
from saerl_core.features.tokens import TokenizedPrompts, length_batches, tokenize_prompts
from saerl_core.policy.loading import load_tokenizer
from saerl_core.progress import track
from saerl_core.records import ControlFeatures, FeatureMeta, FeaturesReport, PolicyRef, SaeFeatures, SaeRef
from saerl_core.shards import WHOLE, Shard

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

Shape = tuple[int, int]


@dataclass
class Rows:
    """CSR pieces of the batches so far, for each pooling that is wanted."""

    pieces: dict[Pooling, list[csr_matrix]]

    def add(self, pooled: dict[Pooling, csr_matrix]) -> None:
        """Take in the rows of a batch."""
        for name, pieces in self.pieces.items():
            pieces.append(pooled[name])

    def in_order(self, done: list[Int[np.ndarray, " _"]], shape: Shape) -> dict[Pooling, csr_matrix]:
        """Stack the pieces and put every row where its prompt stands; prompts in no batch have empty rows."""
        n = shape[0]
        n_done = sum(len(rows) for rows in done)
        where = np.full(n, n_done, dtype=np.int64)  # the row after the last is empty
        if done:
            where[np.concatenate(done)] = np.arange(n_done)
        empty = csr_matrix((1, shape[1]), dtype=np.float32)
        return {
            name: csr_matrix(vstack([*pieces, empty], format="csr", dtype=np.float32)[where])
            for name, pieces in self.pieces.items()
        }


@dataclass
class Counts:
    """Tokens that were read, left out and kept, active latents of those, and prompts without any."""

    n_prefill_tokens: int = 0
    n_dropped_tokens: int = 0
    n_kept_tokens: int = 0
    n_active: int = 0
    n_empty_prompts: int = 0


@dataclass
class PooledPool:
    """Every wanted pooling of the whole pool, in the order of the table."""

    sae: dict[Pooling, csr_matrix]
    random_sae: dict[Pooling, csr_matrix] = field(default_factory=dict)
    dense: dict[Pooling, Float[np.ndarray, "n d_in"]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    concentration: Float[np.ndarray, " n"] | None = None
    peaks: Peaks | None = None
    rows: Int[np.ndarray, " _"] | None = None  # prompts in the order in which they were read; None: of a merged pool


@dataclass(frozen=True)
class Wanted:
    """What a forward pass is to give beside its counts."""

    poolings: Sequence[Pooling] = POOLINGS
    controls: bool = False
    peaks: bool = False


EVERY_POOLING = Wanted()


@dataclass(frozen=True)
class PoolText:
    """A pool as the SAE's model reads it."""

    ref: PolicyRef
    tokenizer: "PreTrainedTokenizerBase"
    tokens: TokenizedPrompts


def extract_features(
    prompts: "pd.DataFrame", policy: PolicyRef, sae: SaeRef, config: FeaturesConfig, seed: int, *, controls: bool
) -> tuple[SaeFeatures, ControlFeatures | None, FeaturesReport]:
    """Extract one row of SAE features a prompt, in the order of the table (columns `prompt_id` and `prompt`).

    Activations stream through the lower part of the SAE's own model (`sae.model`; None: the policy) in batches of
    similar length, so memory follows `batch_tokens`, not the pool. Padding, the tokenizer's BOS and attention sinks
    are left out. With `controls` the same forward pass also gives pooled activations and a frozen random SAE.
    A prompt without any token has a row of zeros and is counted. Raises `DataError` on an empty pool and on
    activations that are not finite, `ConfigError` when SAE and model do not fit.
    """
    features, control, report, _ = _extract(prompts, policy, sae, config, seed, controls=controls, names=False)
    return features, control, report


def extract_named_features(
    prompts: "pd.DataFrame", policy: PolicyRef, sae: SaeRef, config: FeaturesConfig, seed: int, *, controls: bool
) -> tuple[SaeFeatures, ControlFeatures | None, FeaturesReport, "pd.DataFrame"]:
    """Extract features as `extract_features` does, and name the latents after where they fire most (`FEATURE_NAMES`).

    The largest activations are kept in the same forward pass; a latent that fires nowhere has no row.
    """
    features, control, report, named = _extract(prompts, policy, sae, config, seed, controls=controls, names=True)
    assert named is not None
    return features, control, report, named


def _extract(
    prompts: "pd.DataFrame",
    policy: PolicyRef,
    sae: SaeRef,
    config: FeaturesConfig,
    seed: int,
    *,
    controls: bool,
    names: bool,
) -> tuple[SaeFeatures, ControlFeatures | None, FeaturesReport, "pd.DataFrame | None"]:
    start = time.perf_counter()
    text = read_text(prompts, policy, sae, config)
    wanted = Wanted((config.pooling,), controls=controls, peaks=names)
    pooled = pool_all(text.tokens, text.ref, sae, config, seed, wanted)
    return finished(prompts, policy, sae, config, text, pooled, time.perf_counter() - start)


def read_text(prompts: "pd.DataFrame", policy: PolicyRef, sae: SaeRef, config: FeaturesConfig) -> PoolText:
    """Tokenise the pool for the SAE's own model, which is the policy where `sae.model` is None."""
    ref = resolve_model(sae.model, policy)
    tokenizer = load_tokenizer(ref)
    context = read_shape(ref).context_tokens
    return PoolText(ref, tokenizer, tokenize_prompts(prompts, tokenizer, config.max_prompt_tokens, context))


def finished(
    prompts: "pd.DataFrame",
    policy: PolicyRef,
    sae: SaeRef,
    config: FeaturesConfig,
    text: PoolText,
    pooled: PooledPool,
    seconds: float,
) -> tuple[SaeFeatures, ControlFeatures | None, FeaturesReport, "pd.DataFrame | None"]:
    """Return the records of a pooled pool: features, and controls and names where they were pooled."""
    tokens = text.tokens
    l0 = pooled.counts.n_active / max(1, pooled.counts.n_kept_tokens)
    meta = FeatureMeta(sae.model or policy.policy_id, sae.hook_name, sae.sae_id, config.pooling, l0)
    features = SaeFeatures(tokens.prompt_ids, pooled.sae[config.pooling], meta)
    control = named = None
    if pooled.dense:
        of_pooling = (pooled.dense[config.pooling], pooled.random_sae[config.pooling])
        control = ControlFeatures(tokens.prompt_ids, *of_pooling, pooled.concentration)
    if pooled.peaks is not None:
        named = name_latents(prompts, tokens, text.tokenizer, pooled.peaks, features.matrix.getnnz(axis=0))
    return features, control, _report(features, tokens, pooled.counts, config, seconds), named


def pool_all(
    tokens: TokenizedPrompts,
    ref: PolicyRef,
    sae: SaeRef,
    config: FeaturesConfig,
    seed: int,
    wanted: Wanted = EVERY_POOLING,
    shard: Shard = WHOLE,
) -> PooledPool:
    """Pool a tokenised pool, or the batches of a shard of it, with every wanted pooling in one forward pass."""
    device = resolve_device(config.device)
    encoder = open_encoder(Path(sae.path), device)
    model = load_lower_model(ref, sae.hook_layer, device)
    if encoder.d_in != model.d_in:
        raise ConfigError(width_mismatch(encoder.d_in, model.d_in, ref.path, "the SAE"))
    control = _control(encoder, sae, seed, device) if wanted.controls else None
    store = PeakStore(tokens.prompt_ids, encoder.d_sae) if wanted.peaks else None
    counts = Counts(n_empty_prompts=int((tokens.run_lengths == 0).sum()))
    rows = Rows({name: [] for name in wanted.poolings})
    random_rows = Rows({name: [] for name in wanted.poolings})
    n = len(tokens.ids)
    dense = {name: np.zeros((n, model.d_in), dtype=np.float32) for name in wanted.poolings} if wanted.controls else {}
    concentration = np.zeros(n) if wanted.controls else None
    done: list[Int[np.ndarray, " _"]] = []
    batches = shard.of(length_batches(tokens.run_lengths, config.batch_tokens))
    with track(sum(map(len, batches)), "Extracting SAE features", "prompt") as bar:
        for batch in stream_activations(model, tokens, batches):
            rows.add(_pool_batch(encoder, batch, counts, store))
            if control is not None and concentration is not None:
                random_rows.add(_pool_batch(control, batch))
                concentration[batch.rows] = angle_concentration(batch.hidden, batch.row_of_token, len(batch.rows))
                for name, values in pool_dense(batch.hidden, batch.row_of_token, len(batch.rows)).items():
                    if name in dense:
                        dense[name][batch.rows] = values
            done.append(batch.rows)
            bar.update(len(batch.rows))
    shape = (n, encoder.d_sae)
    random_pooled = random_rows.in_order(done, shape) if control is not None else {}
    found = store.peaks() if store is not None else None
    read = np.concatenate(done) if done else np.zeros(0, dtype=np.int64)
    return PooledPool(rows.in_order(done, shape), random_pooled, dense, counts, concentration, found, read)


def _whose(tokens: TokenizedPrompts, config: FeaturesConfig) -> str:
    return ", the context of the model" if tokens.max_tokens < config.max_prompt_tokens else ""


def width_mismatch(d_sae_in: int, d_model: int, model: str, sae: str) -> str:
    """Say in one sentence that an SAE does not fit a model, and the way out."""
    return (
        f"{sae} reads vectors of {d_sae_in} numbers, but the blocks of model '{model}' put out {d_model}; "
        f"set sae.model to the model that the SAE was trained on, or choose another SAE"
    )


def _pool_batch(
    encoder: Encoder, batch: ActivationBatch, counts: Counts | None = None, store: PeakStore | None = None
) -> dict[Pooling, csr_matrix]:
    codes = encode_codes(encoder, batch.hidden)
    if store is not None:
        store.add(codes, batch)
    if counts is not None:
        counts.n_prefill_tokens += batch.n_prefill_tokens
        counts.n_dropped_tokens += batch.n_dropped
        counts.n_kept_tokens += len(batch.row_of_token)
        counts.n_active += len(codes.value)
    return pool_codes(codes, batch.row_of_token, (len(batch.rows), encoder.d_sae))


def _control(encoder: Encoder, sae: SaeRef, seed: int, device: str) -> LinearEncoder:
    """A TopK control needs a k: the SAE's own, else its recorded mean number of active latents."""
    k = encoder.k or max(1, round(recorded_l0(Path(sae.path)) or encoder.d_in / 16))
    b_dec = encoder.b_dec if isinstance(encoder, LinearEncoder) else None
    return random_encoder(encoder, b_dec, min(k, encoder.d_sae), seed, device)


def _report(
    features: SaeFeatures, tokens: TokenizedPrompts, counts: Counts, config: FeaturesConfig, seconds: float
) -> FeaturesReport:
    n = len(features.prompt_ids)
    notes = []
    if tokens.n_truncated:
        notes.append(
            f"{tokens.n_truncated} of {n} prompts are longer than {tokens.max_tokens} tokens{_whose(tokens, config)}; "
            f"their features come from the first {tokens.max_tokens}."
        )
    if counts.n_empty_prompts:
        notes.append(f"{counts.n_empty_prompts} of {n} prompts have no token; their features are zero.")
    return FeaturesReport(
        stage="features",
        n_prefill_tokens=counts.n_prefill_tokens,
        notes=tuple(notes),
        values={
            "n_prompts": n,
            "nnz_per_row": features.matrix.nnz / n,
            "l0": features.meta.l0,
            "n_kept_tokens": counts.n_kept_tokens,
            "n_dropped_tokens": counts.n_dropped_tokens,
            "n_truncated": tokens.n_truncated,
            "n_empty_prompts": counts.n_empty_prompts,
            "prompts_per_s": n / seconds,
        },
    )
