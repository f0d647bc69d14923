"""A small language model of the pool's own text: byte-level BPE, then next-token prediction on packed sequences."""

import hashlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Int

from saerl_core.config.run import PolicyConfig
from saerl_core.errors import DataError
from saerl_core.ids import normalise_text
from saerl_core.policy.fitting import EarlyStop, Rates, TokenBatch, fit, weighted_loss
from saerl_core.policy.model import build_model
from saerl_core.progress import track
from saerl_core.seeds import stage_rng, stage_seed
from saerl_core.world.tokenizer import BOS, EOS, PAD, UNK

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

MAX_TOKENS = 2048  # positions that the model is declared for
SEQUENCE_TOKENS = 256  # of one packed training sequence
_HELD_OUT_FRAC = 0.05
_MAX_EPOCHS = 40  # over the pool's text, however many steps are asked for
_LEAST_STEPS = 50  # the rate warms up over 30
_MAX_CHARS = 20_000  # of one text: the bound on what a single row can cost
_RATES = Rates(0.02, 3e-3, 0.8)


def pretrain(
    config: PolicyConfig, prompts: pd.DataFrame, held_out: frozenset[str], seed: int
) -> "tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast, list[tuple[int, float]], dict[str, float], tuple[str, ...]]":
    """Train a fresh model on the texts of the usable prompts that are not in `held_out` (normalised prompts).

    A hash of the text keeps 5 % of the texts out of the tokenizer and the model. Returns the model, the tokenizer, the
    loss curve, values (the loss on the texts kept out in nats a token and in bits a byte, and the sizes) and notes. It
    ends after 40 epochs over the texts, or when the loss on the texts kept out rises: a small pool is learnt by heart
    otherwise. Independent of the row order.
    """
    learn, keep_out = divide_texts(prompts, held_out)
    tokenizer = train_tokenizer(learn, config.vocab_size)
    model = build_model(config, tokenizer, MAX_TOKENS, stage_seed(seed, "policy.init"))
    stream = _pack(tokenizer, learn)
    tokens_a_step = config.batch_size * min(SEQUENCE_TOKENS, len(stream))
    n_steps = min(config.pretrain_steps, max(_LEAST_STEPS, _MAX_EPOCHS * len(stream) // tokens_a_step))
    stop = None
    if keep_out:
        stop = EarlyStop(lambda: _held_out_loss(model, tokenizer, keep_out, config.batch_size)["held_out_loss"])
    with track(n_steps, "pre-training on text", "step") as bar:
        batches = _windows(stream, config.batch_size, stage_rng(seed, "policy.text"))
        curve = fit(model, batches, n_steps, _RATES, bar, stop)
    seen = curve[-1][0] * tokens_a_step
    values = {
        "vocab_size": float(len(tokenizer)),
        "n_texts": float(len(learn)),
        "n_corpus_tokens": float(len(stream)),
        "epochs": seen / len(stream),
    }
    if keep_out:
        values |= _held_out_loss(model, tokenizer, keep_out, config.batch_size)
    return model, tokenizer, curve, values, tuple(_end_notes(config.pretrain_steps, n_steps, stop))


def _end_notes(asked: int, n_steps: int, stop: EarlyStop | None) -> Iterator[str]:
    """Yield why the training took fewer steps than `policy.pretrain_steps`, and that there is no held-out loss."""
    if stop is not None and stop.stopped_at is not None:
        yield (
            f"pre-training stopped at step {stop.stopped_at} of policy.pretrain_steps = {asked}: the loss on the texts "
            f"kept out had stopped falling at {stop.best:.3f}, and the weights are those of that moment"
        )
    elif n_steps < asked:
        yield (
            f"pre-training took {n_steps} of policy.pretrain_steps = {asked} steps, {_MAX_EPOCHS} epochs of the pool's "
            "text: more would learn so small a pool by heart"
        )
    if stop is None:
        yield "too few texts to keep some out: the loss is that of training only"


def divide_texts(prompts: pd.DataFrame, held_out: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return the texts to learn and those to keep out: different, usable, sorted; `DataError` where none is left."""
    rows = prompts.loc[prompts["usable"], "prompt"]
    texts = sorted({str(t)[:_MAX_CHARS] for t in rows if normalise_text(str(t)) not in held_out})
    if not texts:
        raise DataError(f"none of {len(prompts)} prompts is usable as text for the policy; it needs at least one")
    out = [t for t in texts if int(hashlib.sha256(t.encode()).hexdigest()[:8], 16) / 2**32 < _HELD_OUT_FRAC]
    learn = sorted(set(texts) - set(out))
    return (learn, out) if learn else (texts, [])


def train_tokenizer(texts: list[str], vocab_size: int) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE of at most `vocab_size` tokens; it puts BOS in front and pads on the left."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    specials = [PAD, BOS, EOS, UNK]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(vocab_size, len(specials) + 256),  # all bytes fit, so nothing is unknown
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    bos_id = backend.token_to_id(BOS)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bos_id)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNK,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def _pack(tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> Int[np.ndarray, " tokens"]:
    """Return all texts as one stream of int32 ids, each between BOS and EOS."""
    end = [tokenizer.eos_token_id]
    parts = [np.asarray(tokenizer(text)["input_ids"] + end, dtype=np.int32) for text in texts]
    return np.concatenate(parts)


def _windows(stream: Int[np.ndarray, " tokens"], batch_size: int, rng: np.random.Generator) -> Iterator[TokenBatch]:
    """Yield batches of windows of the stream: every epoch has another offset and another order, no window twice."""
    import torch

    width = min(SEQUENCE_TOKENS, len(stream))
    pending = np.zeros(0, dtype=np.int64)
    while True:
        while len(pending) < batch_size:
            offset = int(rng.integers(len(stream) % width + 1)) if len(stream) >= 2 * width else 0
            pending = np.concatenate([pending, rng.permutation(np.arange(offset, len(stream) - width + 1, width))])
        starts, pending = pending[:batch_size], pending[batch_size:]
        ids = torch.from_numpy(stream[starts[:, None] + np.arange(width)].astype(np.int64))
        yield TokenBatch(ids, torch.ones(ids.shape))


def _held_out_loss(
    model: "Qwen2ForCausalLM", tokenizer: "PreTrainedTokenizerFast", texts: list[str], batch_size: int
) -> dict[str, float]:
    import torch

    stream = _pack(tokenizer, texts)
    width = min(SEQUENCE_TOKENS, len(stream))
    starts = np.arange(0, len(stream) - width + 1, width)
    total = n = 0.0
    with torch.no_grad():
        for i in range(0, len(starts), batch_size):
            rows = stream[starts[i : i + batch_size, None] + np.arange(width)].astype(np.int64)
            batch = TokenBatch(torch.from_numpy(rows), torch.ones(rows.shape))
            total += float(weighted_loss(model(input_ids=batch.ids, use_cache=False).logits, batch)) * len(rows)
            n += len(rows)
    loss = total / n
    bytes_a_token = sum(len(t.encode()) for t in texts) / len(stream)
    return {"held_out_loss": loss, "held_out_bits_per_byte": loss / math.log(2) / bytes_a_token}
