"""How fast features are extracted: prompts a second, and the share of the bare forward pass that the SAE leaves."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from benchmarks.real_lm.train import CONFIG, on_this_machine
from saerl_core.config.load import load_config
from saerl_core.config.run import FeaturesConfig
from saerl_core.environment import state_dir
from saerl_core.features.activations import stream_activations
from saerl_core.features.extract import extract_features
from saerl_core.features.models import load_lower_model, resolve_device
from saerl_core.features.sae import obtain_sae
from saerl_core.features.tokens import length_batches, tokenize_prompts
from saerl_core.policy.loading import load_tokenizer
from saerl_core.policy.prepare import prepare_policy
from saerl_core.prompts.load import load_prompts
from saerl_core.rollouts.same_answers import same_answers

RESULTS = Path(__file__).resolve().parent / "results" / "throughput.jsonl"
LENGTHS, N_PROMPTS, BATCH_TOKENS = (128, 1024), 1024, 65_536
_WORDS = "How many spoons does Hana have now if Ivo gave her 5 of his 12 and she lost 3 on the way home ? "


def run(say: Callable[[str], None] = print) -> bool:
    """Measure each length once after a warm-up and append a line each, with an SAE made as for training."""
    c = on_this_machine(load_config(CONFIG))
    folder = state_dir() / "real_lm" / "throughput"
    prompts = load_prompts(c.prompts, c.seed, same_answers).train
    policy, _ = prepare_policy(c.policy, prompts, folder / "policy", c.seed)
    sae, _ = obtain_sae(c.sae, c.features, policy, prompts, folder / "sae", c.seed)
    device = resolve_device("auto")
    lower = load_lower_model(policy, sae.hook_layer, device)
    for length in LENGTHS:
        pool = pd.DataFrame({"prompt_id": [f"p{i:04}" for i in range(N_PROMPTS)], "prompt": _WORDS * (length // 16)})
        config = FeaturesConfig(max_prompt_tokens=length, batch_tokens=BATCH_TOKENS)
        tokens = tokenize_prompts(pool, load_tokenizer(policy), length)
        batches = length_batches(tokens.run_lengths, BATCH_TOKENS)

        def bare() -> None:
            for _ in stream_activations(lower, tokens, batches):  # noqa: B023 (called in this round)
                pass

        def whole() -> None:
            extract_features(pool, policy, sae, config, 0, controls=False)  # noqa: B023

        def named() -> None:
            extract_features(pool, policy, sae, config, 0, controls=True)  # noqa: B023

        seconds = {name: _timed(work) for name, work in (("bare", bare), ("sae", whole), ("with_controls", named))}
        line = {
            "device": torch.cuda.get_device_name(0) if device == "cuda" else "cpu",
            "tokens": int(tokens.lengths.max()),
            "prompts": N_PROMPTS,
            "batch_tokens": BATCH_TOKENS,
            **{f"{name}_s": round(s, 3) for name, s in seconds.items()},
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None,
        }
        say(json.dumps(line))
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return True


def _timed(work: Callable[[], None]) -> float:
    work()
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
