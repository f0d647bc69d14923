"""The identity of a training order."""

import hashlib

import numpy as np
import pandas as pd
from jaxtyping import Float

from saerl_core.config.run import StrategySettings


def plan_hash(table: pd.DataFrame) -> str:
    """Return the sha256 over (step, slot, prompt_id), in step and slot order; the row order does not matter."""
    rows = table.sort_values(["step", "slot"])
    lines = zip(rows["step"], rows["slot"], rows["prompt_id"], strict=True)
    text = "".join(f"{int(step)}\t{int(slot)}\t{prompt_id}\n" for step, slot, prompt_id in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def online_hash(
    candidates: pd.DataFrame,
    vectors: Float[np.ndarray, "n d"],
    settings: StrategySettings,
    *,
    seed: int,
    prompts_per_step: int,
    n_steps: int,
) -> str:
    """Return a sha256 over everything that decides what an online curriculum does, the rewards apart."""
    digest = hashlib.sha256()
    sizes = f"{prompts_per_step} {n_steps} {seed}"
    for text in (*candidates["prompt_id"], settings.model_dump_json(), sizes):
        digest.update(str(text).encode() + b"\0")
    digest.update(np.ascontiguousarray(vectors, dtype="<f8").tobytes())
    for column in sorted(set(candidates.columns) - {"prompt_id"}):
        digest.update(column.encode() + b"\0" + candidates[column].to_numpy(dtype="<f8").tobytes())
    return digest.hexdigest()
