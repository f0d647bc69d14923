"""Pools with planted structure: the truth is known, so a test can ask whether it was found."""

import numpy as np
import pandas as pd
from scipy import sparse

from saerl_core.records import ControlFeatures, FeatureMeta, SaeFeatures
from saerl_core.tables import PROMPTS

META = FeatureMeta("tiny", "blocks.1.hook_resid_post", "sae", "mean", 8.0)
TOPICS = ("sum", "sort", "rev", "count")


def pool(n, **columns):
    """`n` different prompts of four topics in turn; columns given by keyword replace the defaults."""
    rng = np.random.default_rng(5)
    numbers = [f"{i} {int(k)}" for i, k in enumerate(rng.integers(10, 99, n))]
    frame = pd.DataFrame(
        {
            "prompt_id": [f"p{i:04d}" for i in range(n)],
            "prompt": [f"{TOPICS[i % 4]} {numbers[i]}=" for i in range(n)],
            "answer": [str(i * 7 % 100) for i in range(n)],
            "source": "test",
            "topic": [TOPICS[i % 4] for i in range(n)],
            "level": np.nan,
            "known_pass_rate": np.nan,
            "quality_label": np.nan,
            "duplicate_of": None,
            "conflict": False,
            "contamination": 0.0,
            "flags": "",
            "usable": True,
            "truth": None,
        }
    )
    return PROMPTS.check(frame.assign(**columns))


def features(prompt_ids, matrix):
    return SaeFeatures(tuple(prompt_ids), sparse.csr_matrix(np.asarray(matrix, dtype=np.float32)), META)


def noise(n, d, rng, density=0.2):
    """A sparse non-negative matrix that knows nothing."""
    return rng.exponential(size=(n, d)) * (rng.random((n, d)) < density)


def controls(prompt_ids, rng, d_in=6, d_sae=20):
    n = len(prompt_ids)
    return ControlFeatures(tuple(prompt_ids), rng.normal(size=(n, d_in)), sparse.csr_matrix(noise(n, d_sae, rng)))


def clusters(frame, ids=None):
    ids = np.zeros(len(frame), dtype=int) if ids is None else ids
    return pd.DataFrame({"prompt_id": frame["prompt_id"], "cluster_id": ids, "centroid_distance": 0.0})


def pass_rates(prompt_ids, n_correct, n_rollouts=8):
    n_correct = np.asarray(n_correct)
    return pd.DataFrame(
        {
            "prompt_id": list(prompt_ids),
            "n_rollouts": n_rollouts,
            "n_correct": n_correct,
            "n_unknown": 0,
            "pass_rate": n_correct / n_rollouts,
            "mean_completion_tokens": 5.0,
            "truncated_frac": 0.0,
        }
    )


def shuffled(frame, seed=0):
    return frame.sample(frac=1.0, random_state=seed)
