"""Obtaining the SAE: trained here, or loaded; measured on the pool in both cases."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saerl_core.config.run import FeaturesConfig, SaeConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.features.activations import stream_activations
from saerl_core.features.buffer import buffer_tokens, token_batches
from saerl_core.features.encoder import Encoder, open_encoder
from saerl_core.features.extract import width_mismatch
from saerl_core.features.foreign_sae import fetch_sae
from saerl_core.features.health import sae_health
from saerl_core.features.hooks import hook_layer_from
from saerl_core.features.models import (
    LowerModel,
    ModelShape,
    load_lower_model,
    read_shape,
    resolve_device,
    resolve_layer,
    resolve_model,
)
from saerl_core.features.sae_config import read_sae_config
from saerl_core.features.sae_folder import CARD_NAME, record_metadata, weights_id, write_card
from saerl_core.features.saving import atomic_folder
from saerl_core.features.tokens import TokenizedPrompts, length_batches, tokenize_prompts
from saerl_core.features.train import SaeTraining, check_width, train_topk
from saerl_core.policy.gguf_files import origin_of
from saerl_core.policy.loading import load_tokenizer
from saerl_core.records import PolicyRef, SaeRef, SaeReport
from saerl_core.seeds import stage_rng, stage_seed

if TYPE_CHECKING:
    import pandas as pd

HELD_OUT_FRAC = 0.1
MAX_HELD_OUT = 2000  # prompts that the SAE is measured on


@dataclass(frozen=True)
class _Pool:
    """The model of the SAE and the pool as it sees it."""

    ref: PolicyRef
    shape: ModelShape
    tokens: TokenizedPrompts  # distinct texts in the order of prompt_id
    seed: int
    device: str


def obtain_sae(
    config: SaeConfig, features: FeaturesConfig, policy: PolicyRef, prompts: "pd.DataFrame", out_dir: Path, seed: int
) -> tuple[SaeRef, SaeReport]:
    """Train or load the SAE into `out_dir` and measure it on prompts that it was not trained on here.

    The SAE belongs to `config.model` where that is set, else to the policy, and reads the residual stream after block
    `config.hook_layer` (None: the middle one). Neither the row order of the pool nor copies of a text matter. The
    report holds l0, explained_variance, dead_frac and mse over held-out tokens. Raises `ConfigError` when settings,
    SAE and model do not fit together, `DataError` on a pool without tokens.
    """
    ref = resolve_model(config.model, policy)
    shape = read_shape(ref)
    distinct = prompts.sort_values("prompt_id").drop_duplicates("prompt")
    tokens = tokenize_prompts(distinct, load_tokenizer(ref), features.max_prompt_tokens, shape.context_tokens)
    pool = _Pool(ref, shape, tokens, stage_seed(seed, "obtain_sae"), resolve_device(features.device))
    with atomic_folder(Path(out_dir), "the SAE", last=CARD_NAME) as folder:
        made = _train if config.source == "train" else _load
        sae, report = made(config, features, pool, folder)
        write_card(sae, folder)
    origin = None if config.model is None else origin_of(ref.path)  # the policy's own report says it of the policy
    if origin is not None and origin.note is not None:
        report = report.model_copy(update={"notes": (*report.notes, origin.note)})
    return replace(sae, path=Path(out_dir)), report


def _train(config: SaeConfig, features: FeaturesConfig, pool: _Pool, folder: Path) -> tuple[SaeRef, SaeReport]:
    layer = resolve_layer(config.hook_layer, pool.shape, pool.ref.policy_id)
    check_width(config, pool.shape.d_in)
    rng = stage_rng(pool.seed, "buffer")
    fit, held_out, notes = _split(pool.tokens, rng)
    model = load_lower_model(pool.ref, layer, pool.device)
    job = SaeTraining(
        d_in=model.d_in,
        hook_layer=layer,
        model_name=config.model or pool.ref.policy_id,
        prepend_bos=pool.tokens.n_prefix > 0,
        context_size=features.max_prompt_tokens,
        seed=pool.seed,
        device=pool.device,
    )
    batches = token_batches(model, fit, config.batch_size, features.batch_tokens, rng)
    curve = train_topk(config, job, batches, folder)
    n_pool = int(np.maximum(fit.lengths - fit.n_prefix, 0).sum())
    passes = config.train_tokens / n_pool
    if passes > 1:
        notes.append(
            f"The SAE saw {config.train_tokens} tokens, {passes:.1f} passes over the pool's {n_pool} training tokens."
        )
    n_runs = passes if n_pool > buffer_tokens(model.d_in) else 1.0  # a pool that fits the buffer is run once
    values = _measure(model, held_out, features, folder)
    values["n_train_tokens"] = float(config.train_tokens)
    prefill = int(n_runs * fit.run_lengths.sum() + held_out.run_lengths.sum())
    return _ref(config, layer, folder), _report(values, notes, curve, prefill)


def _load(config: SaeConfig, features: FeaturesConfig, pool: _Pool, folder: Path) -> tuple[SaeRef, SaeReport]:
    name = fetch_sae(config, folder)
    cfg = read_sae_config(folder)
    metadata = cfg.get("metadata") or {}
    layer = hook_layer_from(cfg, config.hook_layer, name)
    resolve_layer(layer, pool.shape, pool.ref.policy_id)
    encoder = _open_copy(folder, str(config.path))
    if encoder.d_in != pool.shape.d_in:
        theirs = f" (its own model is '{metadata['model_name']}')" if metadata.get("model_name") else ""
        raise ConfigError(width_mismatch(encoder.d_in, pool.shape.d_in, pool.ref.path, f"{name}{theirs}"))
    notes = []
    if cfg.get("normalize_activations", "none") not in ("none", "layer_norm", "constant_norm_rescale"):
        notes.append(f"{name} was trained on scaled activations and does not hold the scale; it reads raw ones here.")
    if metadata.get("prepend_bos") and pool.tokens.n_prefix == 0:
        notes.append(f"{name} was trained with a BOS token in front; the model's tokenizer adds none.")
    if metadata.get("model_name") and config.model is None:
        notes.append(f"{name} was trained on '{metadata['model_name']}'; features are taken from the policy.")
    _, held_out, more = _split(pool.tokens, stage_rng(pool.seed, "buffer"))
    model = load_lower_model(pool.ref, layer, pool.device)
    values = _measure(model, held_out, features, folder)
    return _ref(config, layer, folder), _report(values, notes + more, (), int(held_out.run_lengths.sum()))


def _open_copy(folder: Path, source: str) -> Encoder:
    """Open the copy of an SAE that was loaded; errors name what the user set, since the copy is removed with them."""
    try:
        return open_encoder(folder)
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(folder), source)) from error


def _split(tokens: TokenizedPrompts, rng: np.random.Generator) -> tuple[TokenizedPrompts, TokenizedPrompts, list[str]]:
    """Hold out 10 % of the distinct prompts that have tokens; a pool of one prompt is measured on itself."""
    rows = np.flatnonzero(tokens.run_lengths)
    if len(rows) == 0:
        raise DataError(f"none of the pool's {len(tokens.ids)} prompts has a token; the SAE needs prompts with text")
    if len(rows) == 1:
        return tokens, tokens, ["The pool holds one prompt; the SAE was measured on the prompt it was trained on."]
    shuffled = rng.permutation(rows)
    n_held_out = min(MAX_HELD_OUT, max(1, round(HELD_OUT_FRAC * len(rows))))
    return tokens.take(np.sort(shuffled[n_held_out:])), tokens.take(np.sort(shuffled[:n_held_out])), []


def _measure(model: LowerModel, held_out: TokenizedPrompts, features: FeaturesConfig, folder: Path) -> dict[str, float]:
    encoder = open_encoder(folder, model.device)
    batches = length_batches(held_out.run_lengths, features.batch_tokens)
    values = sae_health(encoder, stream_activations(model, held_out, batches))
    record_metadata(folder, {"l0": values["l0"]})
    values["n_eval_prompts"] = float(len(held_out.ids))
    values["hook_layer"] = float(model.hook_layer)
    return values


def _ref(config: SaeConfig, layer: int, folder: Path) -> SaeRef:
    encoder = open_encoder(folder)
    architecture = str(read_sae_config(folder)["architecture"])
    return SaeRef(folder, weights_id(folder), config.model, layer, encoder.d_in, encoder.d_sae, architecture)


def _report(
    values: dict[str, float], notes: list[str], curve: tuple[tuple[int, float], ...], n_prefill_tokens: int
) -> SaeReport:
    return SaeReport(
        stage="sae", notes=tuple(notes), values=values, loss_curve=curve, n_prefill_tokens=n_prefill_tokens
    )
