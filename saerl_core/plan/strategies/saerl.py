"""Strategy `saerl`: the paper's plan (arXiv 2605.27354), as reconstructed in docs/method.md.

Cluster first, easy to hard inside each cluster, clusters interleaved in proportion to their size, moderate mixing of
adjacent batches. Which of these are switched on is the configuration's choice.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import numpy as np

from saerl_core.config.base import Unit
from saerl_core.plan.batches import Batch, Order, cut
from saerl_core.plan.strategies.base import Candidates, StaticStrategy, StrategySettings

RESIDUAL = -1  # group of the batches that are cut from the clusters' remainders


class SaerlSettings(StrategySettings):
    """The parts of the paper's plan, each with its switch."""

    name: Literal["saerl"] = "saerl"
    use_quality: bool = True  # drop what the quality probe does not keep
    use_clusters: bool = True
    use_difficulty: bool = True
    grouping: Literal["cluster", "interleaved"] = "cluster"
    mix_frac: Unit = 0.125  # rho: share of a batch exchanged with its neighbour

    def filters_by_quality(self) -> bool:
        """Tell whether prompts that the quality probe does not keep are left out."""
        return self.use_quality

    def problems(self) -> Iterator[str]:
        """Refuse to interleave clusters that are switched off."""
        if self.grouping == "interleaved" and not self.use_clusters:
            yield (
                "plan.strategy.grouping is 'interleaved', but plan.strategy.use_clusters is false and leaves nothing "
                "to interleave; set plan.strategy.use_clusters to true or plan.strategy.grouping to 'cluster'"
            )


def order_by_clusters(candidates: Candidates, settings: SaerlSettings, rng: np.random.Generator) -> Order:
    """Order the candidates by clusters and difficulty; `floor(mix_frac * B)` prompts of a tail are exchanged.

    With `use_clusters` off the pool is one cluster, ordered by the uncalibrated difficulty. With `use_difficulty` off
    the order inside a cluster is a shuffle. `grouping` decides whether a batch holds one cluster (`cluster`) or
    alternates between all of them (`interleaved`).
    """
    batch = candidates.prompts_per_step
    members = _sorted_members(candidates, settings, rng)
    if settings.grouping == "interleaved":
        batches, _ = cut(_alternate(members), batch, group=0)
    else:
        batches = _interleave_batches(members, batch)
    return Order(tuple(batches), n_swap=int(settings.mix_frac * batch + 1e-9))


def _sorted_members(candidates: Candidates, settings: SaerlSettings, rng: np.random.Generator) -> dict[int, list[str]]:
    """Return per cluster, in the order of cluster ids, its prompts easy to hard (ties by `prompt_id`)."""
    table = candidates.table
    frame = table.assign(
        group=table["cluster_id"] if settings.use_clusters else 0,
        rank=table["calibrated" if settings.use_clusters else "difficulty"],
    )
    if not settings.use_difficulty:
        frame["rank"] = rng.permutation(len(frame)).astype(np.float64)
    frame = frame.sort_values(["group", "rank", "prompt_id"])
    members: dict[int, list[str]] = {}
    for group, prompt_id in zip(frame["group"], frame["prompt_id"], strict=True):
        members.setdefault(int(group), []).append(str(prompt_id))
    return members


def _alternate(members: dict[int, list[str]]) -> list[str]:
    """Merge the clusters' lists by (r + 0.5) / size: every stretch holds the clusters in proportion to their size."""
    keyed = [
        (Fraction(2 * r + 1, 2 * len(ids)), group, prompt_id)
        for group, ids in members.items()
        for r, prompt_id in enumerate(ids)
    ]
    return [prompt_id for _, _, prompt_id in sorted(keyed)]


def _interleave_batches(members: dict[int, list[str]], batch: int) -> list[Batch]:
    """Cut each cluster into batches, the remainders as one more group, and order all by (j + 0.5) / n_k.

    A remainder holds the hardest prompts of its cluster. A residual batch therefore never comes before the last full
    batch of a cluster that it holds prompts of: its place is the later one of the two, and residual batches keep their
    own order (by the prompt's rank in its cluster). So every cluster runs easy to hard over the whole plan.
    """
    keyed: list[tuple[Fraction, int, int, Batch]] = []
    residual: list[tuple[Fraction, int, str]] = []
    last_full: dict[str, Fraction] = {}
    for group, ids in members.items():
        batches, rest = cut(ids, batch, group)
        n_k = len(batches)
        keyed += [(Fraction(2 * j + 1, 2 * n_k), 0, group, b) for j, b in enumerate(batches)]
        first_rest = len(ids) - len(rest)
        residual += [(Fraction(2 * (first_rest + r) + 1, 2 * len(ids)), group, p) for r, p in enumerate(rest)]
        last_full |= {p: Fraction(2 * n_k - 1, 2 * n_k) if n_k else Fraction(0) for p in rest}
    batches, _ = cut([p for _, _, p in sorted(residual)], batch, RESIDUAL)
    place = Fraction(0)
    for j, b in enumerate(batches):
        place = max(place, Fraction(2 * j + 1, 2 * len(batches)), *(last_full[p] for p in b.prompt_ids))
        keyed.append((place, 1, j, b))
    return [b for *_, b in sorted(keyed, key=lambda item: item[:3])]


STRATEGY = StaticStrategy(
    settings=SaerlSettings,
    title="the paper's plan: a batch from one cluster, easy to hard, mixed with its neighbour",
    source="SaeRL, arXiv 2605.27354",
    signals=("cluster_id", "difficulty", "calibrated"),
    order=order_by_clusters,
)
