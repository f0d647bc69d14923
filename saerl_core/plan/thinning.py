"""Fewer steps than batches: which batches of an order are trained on."""

from collections import Counter
from collections.abc import Sequence

from saerl_core.plan.batches import Batch


def thin(batches: Sequence[Batch], n_steps: int) -> list[Batch]:
    """Choose `n_steps` batches evenly over the order, so that its span and the groups' shares are kept.

    The order is divided into `n_steps` windows of equal length and each gives one batch: the one whose group is
    furthest behind its share `n_k / N` of the steps so far (ties: nearest to the middle of the window, then the first).
    Taking every second batch instead would drop one of two alternating clusters altogether. Their order is kept.
    """
    n = len(batches)
    if n_steps >= n:
        return list(batches)
    size = Counter(b.group for b in batches)
    taken: Counter[int] = Counter()
    chosen: list[Batch] = []
    for i in range(n_steps):
        lo, hi = i * n // n_steps, (i + 1) * n // n_steps
        middle = (lo + hi - 1) / 2

        def behind(j: int, i: int = i, middle: float = middle) -> tuple[int, float, int]:
            group = batches[j].group
            return (i + 1) * size[group] - taken[group] * n, -abs(j - middle), -j

        best = batches[max(range(lo, hi), key=behind)]
        taken[best.group] += 1
        chosen.append(best)
    return chosen
