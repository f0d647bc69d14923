"""How fast features are extracted: prompts a second, and the share of the bare forward pass that the SAE leaves."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.real_lm.train import CONFIG, on_this_machine
from saerl_core.config.load import load_config
from saerl_core.config.run import FeaturesConfig
from saerl_core.environment import state_dir
from saerl_core.features.activations import stream_activations
from saerl_core.features.extract import extract_features, extract_named_features
from saerl_core.features.models import load_lower_model, resolve_device
from saerl_core.features.sae import obtain_sae
from saerl_core.features.tokens import length_batches, tokenize_prompts
from saerl_core.policy.loading import load_tokenizer
from saerl_core.policy.prepare import prepare_policy
from saerl_core.prompts.load import load_prompts
from saerl_core.rollouts.same_answers import same_answers

RESULTS = Path(__file__).resolve().parent / "results" / "throughput.jsonl"
LENGTHS, N_TOKENS, BATCH_TOKENS = (128, 1024), 2**20, 65_536
_WORDS = "How many spoons does Hana have now if Ivo gave her 5 of his 12 and she lost 3 on the way home"


def run(say: Callable[[str], None] = print) -> bool:
    """Measure each length after a warm-up and append a line each: a million tokens, an SAE made as for training."""
    c = on_this_machine(load_config(CONFIG))
    folder = state_dir() / "real_lm" / "throughput"
    prompts = load_prompts(c.prompts, c.seed, same_answers).train
    policy, _ = prepare_policy(c.policy, prompts, folder / "policy", c.seed)
    sae, _ = obtain_sae(c.sae, c.features, policy, prompts, folder / "sae", c.seed)
    device = resolve_device("auto")
    lower = load_lower_model(policy, sae.hook_layer, device)
    for length in LENGTHS:
        config = FeaturesConfig(max_prompt_tokens=length, batch_tokens=BATCH_TOKENS)

        def bare(pool: pd.DataFrame) -> None:
            tokens = tokenize_prompts(pool, load_tokenizer(policy), length)  # noqa: B023 (called in this round)
            for _ in stream_activations(lower, tokens, length_batches(tokens.run_lengths, BATCH_TOKENS)):
                pass

        def with_sae(pool: pd.DataFrame) -> None:
            extract_features(pool, policy, sae, config, 0, controls=False)  # noqa: B023

        def as_in_the_pipeline(pool: pd.DataFrame) -> None:
            extract_named_features(pool, policy, sae, config, 0, controls=True)  # noqa: B023

        n = N_TOKENS // length
        seconds = {
            name: _timed(work, _pool(n, length))
            for name, work in (("bare", bare), ("sae", with_sae), ("pipeline", as_in_the_pipeline))
        }
        line = {
            "device": torch.cuda.get_device_name(0) if device == "cuda" else "cpu",
            "tokens": length,
            "prompts": n,
            "batch_tokens": BATCH_TOKENS,
            **{f"{name}_s": round(s, 3) for name, s in seconds.items()},
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None,
        }
        say(json.dumps(line))
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return True


def _pool(n: int, length: int) -> pd.DataFrame:
    """Return prompts of at least `length` tokens, no two of which are equal."""
    words = np.random.default_rng(0).choice(_WORDS.split(), size=(n, length))
    return pd.DataFrame({"prompt_id": [f"p{i:05}" for i in range(n)], "prompt": [" ".join(row) for row in words]})


def _timed(work: Callable[[pd.DataFrame], None], pool: pd.DataFrame) -> float:
    """Return the seconds that `work` takes on the pool, after a sixteenth of it for warming up."""
    work(pool.head(len(pool) // 16))
    started = time.perf_counter()
    work(pool)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
