"""Folds that never part what belongs together."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from saerl_core.seeds import stage_rng


def text_groups(prompts: pd.DataFrame) -> pd.Series:
    """Return one group number a row, the same for prompts that are equal up to case and white space.

    A copy of a prompt in another fold would show the probe its own test item.
    """
    normal = prompts["prompt"].astype(str).str.split().str.join(" ").str.casefold()
    return pd.Series(pd.factorize(normal)[0], index=prompts["prompt_id"].astype(str))


def join_groups(groups: pd.Series, links: list[tuple[str, str]]) -> pd.Series:
    """Merge the groups of every linked pair of prompt ids (union-find); ids that have no group are ignored."""
    parent = {int(g): int(g) for g in groups.unique()}

    def root(g: int) -> int:
        while parent[g] != g:
            parent[g] = parent[parent[g]]
            g = parent[g]
        return g

    known = {str(i): int(g) for i, g in groups.items()}
    for a, b in links:
        if a in known and b in known:
            parent[root(known[a])] = root(known[b])
    return groups.map(lambda g: root(int(g)))


def deal_folds(
    labels: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"], n_folds: int, seed: int, stage: str
) -> Int[np.ndarray, " n"]:
    """Return a fold number (0 .. n_folds - 1) a row: groups stay whole, and labels are spread evenly.

    Groups are sorted by (size, mean label, a random tie-break) and every `n_folds` neighbours are dealt to the folds
    in a random order. Balanced label means matter: when a probe finds nothing it predicts the mean of its training
    folds, and unequal means would make that prediction anti-correlated with the held-out labels.
    """
    frame = pd.DataFrame({"group": groups, "label": labels}).groupby("group")["label"].agg(["size", "mean"])
    rng = stage_rng(seed, stage)
    frame["tie"] = rng.random(len(frame))
    frame = frame.sort_values(["size", "mean", "tie"])
    n_blocks = -(-len(frame) // n_folds)
    dealt = np.concatenate([rng.permutation(n_folds) for _ in range(n_blocks)])[: len(frame)]
    fold_of = pd.Series(dealt, index=frame.index)
    return fold_of.loc[groups].to_numpy(dtype=np.int64)
