"""One root seed; every stage draws from its own named stream."""

import hashlib

import numpy as np


def stage_seed(seed: int, stage: str) -> int:
    """Derive a 31-bit seed for a named stage, stable across processes and machines."""
    digest = hashlib.sha256(f"{seed}:{stage}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def stage_rng(seed: int, stage: str) -> np.random.Generator:
    """Return the numpy generator of a named stage."""
    return np.random.default_rng(stage_seed(seed, stage))
