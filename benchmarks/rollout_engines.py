"""vLLM beside our own sampler on the same prompts: tokens a second, the start of the engine apart, and their ratio.

    OMP_NUM_THREADS=1 python benchmarks/rollout_engines.py PYTHON [--policy FOLDER] [--prompts 64] [--samples 8]

PYTHON is the interpreter of vLLM's environment (`make vllm-env`). Without a policy: random weights, two heads of 64,
which vLLM's attention on a CPU takes. Each engine samples a quarter of the prompts and then all others: the difference
of the two calls is sampling alone, because vLLM is started once a call. Speeds of a CPU say nothing about GPUs.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.config.run import PolicyConfig, TaskWorldConfig
from saerl_core.policy.model import build_model
from saerl_core.policy.storage import policy_id_of, save_policy
from saerl_core.records import PolicyRef, PromptFormat
from saerl_core.rollouts.completions import CompletionSampler
from saerl_core.rollouts.sampler import Sampler
from saerl_core.rollouts.vllm_sampler import Decoding, VllmSampler
from saerl_core.world.splits import build_world
from saerl_core.world.tokenizer import build_tokenizer


def policy_of(folder: str | None, out: Path) -> PolicyRef:
    """Return the policy in a folder, asked in its chat template, or a random one."""
    if folder is not None:
        return PolicyRef(folder, policy_id_of(folder), prompt_format=PromptFormat(chat_template=True))
    tokenizer = build_tokenizer()
    size = PolicyConfig(hidden_size=128, n_layers=4, n_heads=2, intermediate_size=384)
    return save_policy(build_model(size, tokenizer, 256, 0), tokenizer, out)


def speed(make: Callable[[], CompletionSampler], prompts: list[str], n_samples: int) -> tuple[float, float]:
    """Return tokens a second between a small call and a large one, and the seconds of a start."""
    sampler = make()
    few, many = prompts[: len(prompts) // 4], prompts[len(prompts) // 4 :]
    times, tokens = [], []
    for part in (few, many):
        before, start = sampler.n_generated_tokens, time.perf_counter()
        sampler.sample(part, n_samples)
        times.append(time.perf_counter() - start)
        tokens.append(sampler.n_generated_tokens - before)
    rate = (tokens[1] - tokens[0]) / (times[1] - times[0])
    return rate, times[0] - tokens[0] / rate


def main() -> None:
    """Print one line an engine and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python")
    parser.add_argument("--policy")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48)
    asked = parser.parse_args()
    world = build_world(TaskWorldConfig(n_train=asked.prompts, n_dev=0, n_test=1, bad_frac=0.0), 0)
    prompts = [str(p) for p in world["train"]["prompt"]]
    with tempfile.TemporaryDirectory() as folder:
        policy = policy_of(asked.policy, Path(folder) / "policy")
        config = RolloutsConfig(engine="vllm", python=asked.python, dtype="float32")
        engines = {
            "hf": lambda: Sampler(policy, temperature=1.0, max_completion_tokens=asked.tokens, seed=0),
            "vllm": lambda: VllmSampler(policy, Decoding(1.0, 1.0, asked.tokens, 0), config, Path(folder) / "vllm"),
        }
        found = {name: speed(make, prompts, asked.samples) for name, make in engines.items()}
    for name, (rate, start) in found.items():
        print(f"{name:>5}: {rate:,.0f} tokens a second, start {start:.1f} s")
    print(f"vllm / hf: {found['vllm'][0] / found['hf'][0]:.2f}")


if __name__ == "__main__":
    main()
