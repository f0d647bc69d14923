"""What the default policy of the task world costs and can do, before RL.

    python benchmarks/base_policy.py --seed 0 --out FOLDER

Prints CPU seconds, pass@1 and pass@8 by topic and level on the clean test split (T = 1, 24 new tokens), and the share
of zero-variance groups of 8 on the train pool, bad prompts included.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from saerl_core.config.run import RunConfig
from saerl_core.policy.competence import N_SAMPLES, sample_correct
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.prepare import prepare_policy
from saerl_core.records import PolicyRef
from saerl_core.world.splits import build_world


def main() -> None:
    """Prepare the default policy and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, help="keep the policy in this folder")
    parser.add_argument("--n-pool", type=int, default=600, help="train prompts to sample for the zero-variance share")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = RunConfig()
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        world = build_world(config.prompts.task_world, options.seed)
        print(f"world: {time.process_time() - start:.1f} CPU-s")
        start = time.process_time()
        out = options.out or Path(folder) / "policy"
        ref, report = prepare_policy(config.policy, world["train"], out, options.seed, held_out=world["test"])
        print(f"policy: {time.process_time() - start:.1f} CPU-s, {report.n_rollouts} rollouts, id {ref.policy_id[:12]}")
        print("reported:", {name: round(value, 3) for name, value in report.values.items()})
        score(ref, world["test"], options.seed)
        score_pool(ref, world["train"].sample(min(options.n_pool, len(world["train"])), random_state=0), options.seed)


def sample(ref: PolicyRef, table: pd.DataFrame, seed: int) -> np.ndarray:
    """Return which of 8 samples a prompt are correct."""
    items = list(zip(table["prompt"], table["answer"], strict=True))
    return sample_correct(load_model(ref), load_tokenizer(ref), items, seed)[0]


def score(ref: PolicyRef, test: pd.DataFrame, seed: int) -> None:
    """Print pass@1 and pass@8 on the test split."""
    correct = sample(ref, test, seed)
    print(f"test: pass@1 {correct.mean():.3f}, pass@{N_SAMPLES} {correct.any(axis=1).mean():.3f}")
    frame = test.assign(p1=correct.mean(axis=1), p8=correct.any(axis=1).astype(float))
    print(frame.groupby("level")[["p1", "p8"]].mean().round(3).T.to_string())
    print(frame.pivot_table(index="topic", columns="level", values=["p1", "p8"]).round(2).to_string())


def score_pool(ref: PolicyRef, train: pd.DataFrame, seed: int) -> None:
    """Print the share of groups without variance on the pool, by truth."""
    rates = sample(ref, train, seed).mean(axis=1)
    flat = pd.Series(np.isin(rates, (0.0, 1.0)), index=train.index)
    print(f"pool: zero-variance share {flat.mean():.3f}, mean p(1-p) {(rates * (1 - rates)).mean():.3f}")
    print(flat.groupby(train["truth"]).mean().round(3).to_string())


if __name__ == "__main__":
    main()
