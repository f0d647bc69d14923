"""Pickles that create a file when they are loaded."""

import io
import pickle
from pathlib import Path


class _Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


def bomb(canary: Path) -> dict[str, bytes]:
    """Return files that create `canary` in whoever unpickles them: a plain pickle, an npy, a torch file."""
    import numpy as np
    import torch

    array, saved = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([_Bomb(canary)], dtype=object), allow_pickle=True)
    torch.save({"weight": _Bomb(canary)}, saved)
    return {"pickle": pickle.dumps(_Bomb(canary)), "npy": array.getvalue(), "torch": saved.getvalue()}
