"""What early exit and length bucketing save in feature extraction, and how peak memory grows with the pool.

Ratios within one run: absolute seconds depend on the machine, the ratios far less. A random model is as fast as a
trained one, so nothing is downloaded. Command (one to two CPU minutes):

    python benchmarks/extraction.py
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

WIDTH, N_LAYERS, D_SAE, K = 128, 4, 1024, 16
HOOK_LAYER = 1
BATCH_TOKENS = 8192


def build_world(folder: Path, n_prompts: int, mean_tokens: int = 32) -> None:
    """Write a random model, a random SAE and a pool of random prompts of log-normal length."""
    import numpy as np
    import pandas as pd
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from saerl_core.world.tokenizer import ALPHABET, build_tokenizer

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=48,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        initializer_range=0.1,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder / "model")
    build_tokenizer().save_pretrained(folder / "model")
    (folder / "sae").mkdir()
    w_dec = torch.nn.functional.normalize(torch.randn(D_SAE, WIDTH), dim=1)
    weights = {"W_enc": w_dec.T.contiguous(), "W_dec": w_dec, "b_enc": torch.zeros(D_SAE), "b_dec": torch.zeros(WIDTH)}
    save_file(weights, folder / "sae" / "sae_weights.safetensors")
    sae = {"architecture": "topk", "k": K, "d_in": WIDTH, "d_sae": D_SAE, "metadata": {"sae_lens_version": "6.54.12"}}
    (folder / "sae" / "cfg.json").write_text(json.dumps(sae))
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(mean_tokens) - 0.32, 0.8, n_prompts).astype(int), 2, 400)
    texts = ["".join(rng.choice(list(ALPHABET), n)) for n in lengths]
    pd.DataFrame({"prompt_id": [f"p{i:06d}" for i in range(n_prompts)], "prompt": texts}).to_parquet(
        folder / f"pool_{n_prompts}.parquet"
    )


def cpu_seconds(work: Callable[[], object], repeats: int = 2) -> float:
    """Return the least CPU seconds of a few runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def measure_speed(folder: Path, n_prompts: int) -> dict[str, float]:
    """Time the four combinations of early exit and bucketing on one pool, without the SAE."""
    import numpy as np
    import pandas as pd
    import torch

    from saerl_core.features.activations import stream_activations
    from saerl_core.features.models import load_lower_model
    from saerl_core.features.tokens import length_batches, tokenize_prompts
    from saerl_core.policy.loading import load_tokenizer
    from saerl_core.records import PolicyRef

    torch.set_num_threads(1)
    ref = PolicyRef(str(folder / "model"), "random")
    pool = pd.read_parquet(folder / f"pool_{n_prompts}.parquet")
    tokens = tokenize_prompts(pool, load_tokenizer(ref), 512)
    bucketed = length_batches(tokens.run_lengths, BATCH_TOKENS)
    size = max(1, BATCH_TOKENS // int(tokens.lengths.max()))  # unsorted: the longest prompt bounds every batch
    unsorted = [np.arange(i, min(i + size, n_prompts)) for i in range(0, n_prompts, size)]
    lower, whole = load_lower_model(ref, HOOK_LAYER), load_lower_model(ref, N_LAYERS - 1)

    def run(model: object, batches: list[np.ndarray]) -> Callable[[], None]:
        def work() -> None:
            for _ in stream_activations(model, tokens, batches):
                pass

        return work

    return {
        "both": cpu_seconds(run(lower, bucketed)),
        "early exit only": cpu_seconds(run(lower, unsorted)),
        "bucketing only": cpu_seconds(run(whole, bucketed)),
        "neither": cpu_seconds(run(whole, unsorted)),
    }


def measure_memory(folder: Path, n_prompts: int) -> dict[str, float]:
    """Extract in a fresh process and return the growth of its peak memory in MiB, beside the size of the result."""
    script = f"""
import json, resource, sys, time
from pathlib import Path
import pandas as pd, torch
torch.set_num_threads(1)
from saerl_core.config.run import FeaturesConfig
from saerl_core.features.extract import extract_features
from saerl_core.records import PolicyRef, SaeRef
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
folder = Path(sys.argv[1])
policy = PolicyRef(str(folder / "model"), "random")
sae = SaeRef(folder / "sae", "random", None, {HOOK_LAYER}, {WIDTH}, {D_SAE}, "topk")
pool = pd.read_parquet(folder / "pool_{n_prompts}.parquet")
config = FeaturesConfig(device="cpu", batch_tokens={BATCH_TOKENS})
extract_features(pool.iloc[:64], policy, sae, config, 0, controls=True)
before = peak()
start = time.process_time()
features, _, report = extract_features(pool, policy, sae, config, 0, controls=True)
size = features.matrix.data.nbytes + features.matrix.indices.nbytes + features.matrix.indptr.nbytes
print(json.dumps({{"peak": peak(), "growth": peak() - before, "csr": size / 2**20,
    "cpu_s": time.process_time() - start, "dense": 4 * {D_SAE} * len(pool) / 2**20,
    "token_activations": 4 * {WIDTH} * report.values["n_kept_tokens"] / 2**20}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True, env={**os.environ}
    )
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    """Build the pools, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-prompts", type=int, default=4000, help="pool of the speed comparison; memory: also 5 x it")
    n = parser.parse_args().n_prompts
    with tempfile.TemporaryDirectory() as name:
        folders = {size: Path(name) / str(size) for size in (n, 5 * n)}
        for size, folder in folders.items():
            folder.mkdir()
            build_world(folder, size)
        speed = measure_speed(folders[n], n)
        print(f"forward passes over {n} prompts, hook after block {HOOK_LAYER} of {N_LAYERS}:")
        for label, seconds in speed.items():
            print(f"  {label:16s} {seconds:7.2f} CPU-s   {seconds / speed['both']:5.2f} x")
        print("whole extraction with controls, peak memory of the process (MiB):")
        for size, folder in folders.items():
            m = measure_memory(folder, size)
            print(
                f"  {size:6d} prompts: peak {m['peak']:6.0f}, growth {m['growth']:5.0f}; result: CSR {m['csr']:5.0f}, "
                f"as dense {m['dense']:5.0f}; token activations would be {m['token_activations']:6.0f}; "
                f"{m['cpu_s']:5.1f} CPU-s"
            )


if __name__ == "__main__":
    main()
