"""Our sampler against `generate` of the library on the same work: seconds, tokens, and their ratio within one run.

    python benchmarks/sampler.py [--policy FOLDER] [--prompts 480] [--samples 8] [--tokens 24]

Without a policy, a random model of the default size stands in: few of its completions end, so that both sides write the
full length. Both sides get prompts sorted by length, in batches of 512 rows.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from saerl_core.config.run import PolicyConfig, TaskWorldConfig
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.records import PolicyRef
from saerl_core.rollouts.sampler import MAX_ROWS, Sampler
from saerl_core.world.splits import build_world
from saerl_core.world.tokenizer import build_tokenizer


def random_policy(folder: Path) -> PolicyRef:
    """Save a model of the default size with random weights."""
    from transformers import AutoModelForCausalLM, Qwen2Config

    size, tokenizer = PolicyConfig(), build_tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden_size,
        intermediate_size=size.intermediate_size,
        num_hidden_layers=size.n_layers,
        num_attention_heads=size.n_heads,
        num_key_value_heads=size.n_heads,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return PolicyRef(str(folder), "random")


def time_ours(policy: PolicyRef, prompts: list[str], samples: int, tokens: int) -> tuple[float, int]:
    """Return CPU seconds and generated tokens."""
    sampler = Sampler(policy, temperature=1.0, max_completion_tokens=tokens, seed=0)
    start = time.process_time()
    sampler.sample(prompts, samples)
    return time.process_time() - start, sampler.n_generated_tokens


def time_generate(policy: PolicyRef, prompts: list[str], samples: int, tokens: int) -> tuple[float, int]:
    """Return CPU seconds and generated tokens."""
    model, tokenizer = load_model(policy), load_tokenizer(policy)
    torch.manual_seed(0)
    n_generated, rows = 0, max(1, MAX_ROWS // samples)
    start = time.process_time()
    ordered = sorted(prompts, key=len, reverse=True)
    for i in range(0, len(ordered), rows):
        inputs = tokenizer(ordered[i : i + rows], padding=True, return_tensors="pt")
        out = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            num_return_sequences=samples,
            max_new_tokens=tokens,
        )
        new = out[:, inputs["input_ids"].shape[1] :]
        tokenizer.batch_decode(new, skip_special_tokens=True)
        n_generated += int((new != tokenizer.pad_token_id).sum())
    return time.process_time() - start, n_generated


def main() -> None:
    """Run both three times in turn and print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--prompts", type=int, default=480)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=24)
    options = parser.parse_args()
    torch.set_num_threads(1)
    world = build_world(TaskWorldConfig(n_train=8, n_dev=0, n_test=options.prompts), 0)
    prompts = [str(p) for p in world["test"]["prompt"]]
    with tempfile.TemporaryDirectory() as folder:
        policy = PolicyRef(str(options.policy), "given") if options.policy else random_policy(Path(folder))
        best: dict[str, tuple[float, int]] = {}
        for _ in range(3):
            for name, measure in (("saerl", time_ours), ("generate", time_generate)):
                result = measure(policy, prompts, options.samples, options.tokens)
                best[name] = min(best.get(name, result), result)
    for name, (seconds, n_tokens) in best.items():
        print(f"{name:9} {seconds:6.2f} CPU-s  {n_tokens} tokens  {n_tokens / seconds:8.0f} tokens/CPU-s")
    print(f"ratio     {best['saerl'][0] / best['generate'][0]:6.2f}  (seconds of ours over generate's)")


if __name__ == "__main__":
    main()
