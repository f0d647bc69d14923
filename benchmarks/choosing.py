"""What an online choice costs out of a large pool: CPU-seconds a step, and the size of the state in a checkpoint.

    OMP_NUM_THREADS=1 python benchmarks/choosing.py [prompts ...]

`adaptive` with 52 columns, 128 prompts a step, groups of 4, 60 steps with made-up rewards. As a ratio within one run:
the time of a step over that of one product of the vectors with a weight vector, which no choice by predicted rates can
do without.
"""

import json
import sys
import time

import numpy as np

from saerl_core.plan.pass_rate_model import Beliefs, PassRateModel
from saerl_core.plan.strategies.adaptive import AdaptiveChooser, AdaptiveSettings

N_COLUMNS, BATCH, GROUP, N_STEPS = 52, 128, 4, 60


def measured(n_prompts: int) -> tuple[float, float, float]:
    """Return CPU-seconds a step (median), the same for one product, and the state in MB."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((n_prompts, N_COLUMNS))
    rates = np.clip(0.5 + vectors[:, 0] / 4, 0.02, 0.98)
    s = AdaptiveSettings()
    beliefs = Beliefs(
        s.prior_rollouts, s.half_life_rollouts, s.noise, s.memory_prior_rollouts, s.memory_half_life_rollouts
    )
    chooser = AdaptiveChooser(PassRateModel(vectors, beliefs), s)
    everybody, seconds, products = np.arange(n_prompts), [], []
    weights = rng.standard_normal(N_COLUMNS)
    for step in range(N_STEPS):
        start = time.process_time()
        chosen = chooser.choose(step, everybody, BATCH, np.random.default_rng(step))
        chooser.predicted(chosen)
        chooser.reasons(step, chosen)
        chooser.observe(step, chosen, np.full(BATCH, GROUP), rng.binomial(GROUP, rates[chosen]))
        seconds.append(time.process_time() - start)
        start = time.process_time()
        _ = vectors @ weights
        products.append(time.process_time() - start)
    state = len(json.dumps(chooser.state())) / 1e6
    return float(np.median(seconds[3:])), float(np.median(products)), state


def main() -> None:
    """Print one line a pool."""
    sizes = [int(text) for text in sys.argv[1:]] or [100_000, 1_000_000]
    for n in sizes:
        step_s, product_s, state_mb = measured(n)
        print(
            f"{n:>9,} prompts: {step_s:.3f} CPU-s a step ({step_s / product_s:.1f} products), state {state_mb:.2f} MB"
        )


if __name__ == "__main__":
    main()
