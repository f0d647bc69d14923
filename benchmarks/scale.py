"""From features to a plan for pools that outgrow a laptop: CPU-seconds and memory of every stage, and how they grow.

    OMP_NUM_THREADS=1 python benchmarks/scale.py [prompts ...]

Made-up features (32,768 latents, 64 active a prompt, in 40 themes), labels on 5,000 prompts, the stages of the product:
clusters, difficulty, the paper's plan (128 prompts a step, one epoch), and a choice of `adaptive` out of all of them.
One process a size, so that the peak is that size's own. Within one run: the exponent b of n^b between neighbours.
"""

import itertools
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from choosing import measured as choice
from scipy.sparse import csr_matrix

from saerl_core.config.plan import PlanConfig
from saerl_core.config.run import ClustersConfig, DifficultyConfig
from saerl_core.plan.build import plan_batches
from saerl_core.plan.inputs import PlanInputs
from saerl_core.records import FeatureMeta, SaeFeatures
from saerl_core.signals.clusters import cluster_prompts
from saerl_core.signals.difficulty import calibrate_difficulty
from saerl_core.tables import PROMPTS

N_LATENTS, N_ACTIVE, N_THEMES, N_LABELLED, BATCH = 32_768, 64, 40, 5000, 128
SIZES = (10_000, 100_000, 1_000_000)
STAGES = ("clusters", "difficulty", "plan", "choice")

T = TypeVar("T")


def pool_of(n: int) -> tuple[pd.DataFrame, SaeFeatures]:
    """Return prompts and features: half of a prompt's latents are among 200 of its theme."""
    rng = np.random.default_rng(0)
    theme = rng.integers(N_THEMES, size=n)
    own = theme[:, None] * 200 + rng.integers(200, size=(n, N_ACTIVE // 2))
    anywhere = 8000 + rng.integers(N_LATENTS - 8000, size=(n, N_ACTIVE // 2))
    columns = np.sort(np.concatenate([own, anywhere], axis=1), axis=1).astype(np.int32)
    values = rng.gamma(2.0, 1.0, size=columns.shape).astype(np.float32)
    starts = np.arange(n + 1, dtype=np.int64) * N_ACTIVE
    matrix = csr_matrix((values.ravel(), columns.ravel(), starts), shape=(n, N_LATENTS))
    matrix.sum_duplicates()
    ids = [f"p{i:08d}" for i in range(n)]
    hardness = np.clip(0.5 + 0.1 * (theme - N_THEMES / 2) / N_THEMES + 0.2 * rng.standard_normal(n), 0.0, 1.0)
    known = np.full(n, np.nan)
    labelled = rng.choice(n, min(N_LABELLED, n // 2), replace=False)
    known[labelled] = 1.0 - hardness[labelled]
    words = [f"theme{t} says {a} and {b}" for t, (a, b) in zip(theme, rng.integers(5000, size=(n, 2)), strict=True)]
    table = pd.DataFrame({"prompt_id": ids, "prompt": words}).assign(
        answer="1",
        source="made",
        topic=None,
        level=None,
        known_pass_rate=known,
        quality_label=np.nan,
        duplicate_of=None,
        conflict=False,
        contamination=0.0,
        flags="",
        usable=True,
        truth=None,
        licence=None,
    )
    meta = FeatureMeta(model="none", hook_name="none", sae_id="none", pooling="mean", l0=float(N_ACTIVE))
    return PROMPTS.check(table[list(PROMPTS.columns)]), SaeFeatures(tuple(ids), matrix, meta)


def measured(n: int) -> dict[str, float]:
    """Return CPU-seconds of every stage and the peak of the process in GiB."""
    prompts, features = pool_of(n)
    made_gib = _peak_gib()
    seconds: dict[str, float] = {}

    def timed(stage: str, run: Callable[[], T]) -> T:
        start = time.process_time()
        found = run()
        seconds[stage] = time.process_time() - start
        return found

    clusters, _ = timed(
        "clusters", lambda: cluster_prompts(prompts, features, ClustersConfig(n_clusters=16), 0, prompts_per_step=BATCH)
    )
    label = DifficultyConfig(label="known_pass_rate", n_labelled=N_LABELLED)
    difficulty, _ = timed("difficulty", lambda: calibrate_difficulty(prompts, features, None, clusters, None, label, 0))
    quality = pd.DataFrame({"prompt_id": prompts["prompt_id"], "quality_score": 0.9, "keep": True})
    inputs = PlanInputs(prompts=prompts, quality=quality, clusters=clusters, difficulty=difficulty)
    config = PlanConfig(strategy="saerl", prompts_per_step=BATCH, n_steps=None)
    timed("plan", lambda: plan_batches(inputs, config, 0))
    step_s, _, state_mb = choice(n)
    return {"n": n, **seconds, "choice": step_s, "state_mb": state_mb, "made_gib": made_gib, "peak_gib": _peak_gib()}


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def main() -> None:
    """Measure every size in a process of its own and print a table; the last argument `--one` measures here."""
    if sys.argv[-1] == "--one":
        print(json.dumps(measured(int(sys.argv[1]))))
        return
    found = []
    for n in [int(text) for text in sys.argv[1:]] or SIZES:
        command = [sys.executable, str(Path(__file__)), str(n), "--one"]
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found.append(json.loads(out.splitlines()[-1]))
        print(out.splitlines()[-1], file=sys.stderr)
    print("| prompts | " + " | ".join(f"{s} (CPU-s)" for s in STAGES) + " | all but choice | peak GiB |")
    print("|---|" + "---|" * (len(STAGES) + 2))
    for row in found:
        cells = [f"{row[s]:.3g}" for s in STAGES]
        whole = sum(row[s] for s in STAGES[:-1])
        print(f"| {row['n']:,} | " + " | ".join(cells) + f" | {whole:.3g} | {row['peak_gib']:.2f} |")
    for before, after in itertools.pairwise(found):
        wide = math.log(after["n"] / before["n"])
        powers = ", ".join(f"{s} n^{math.log(after[s] / before[s]) / wide:.2f}" for s in STAGES)
        print(f"from {before['n']:,} to {after['n']:,}: {powers}")


if __name__ == "__main__":
    main()
