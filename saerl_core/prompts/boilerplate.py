"""Text that stands in many problems is a template, not a leak: it is found by counting, and set aside.

Counted are different texts only, so that one problem that stands in a file many times makes no template. The bounds:

| where             | a run of n units counts as boilerplate, where it stands in                                       |
|-------------------|--------------------------------------------------------------------------------------------------|
| evaluation set    | at least 3 of its items and a fifth of them ("where m and n are relatively prime ...": AIME, .3) |
| pool              | half of its prompts and at least 6, or one in fifty and at least 50                              |
| ends of the items | at least 3 items and half of them, nine in ten below 4 units: a template's head or tail         |

Smaller bounds would take a problem that is leaked in several spellings for a template. What is set aside no longer
counts for coverage; an item that stands in a prompt as a whole is a leak all the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

Gram = TypeVar("Gram")
Units = tuple[str, ...]

_MIN_ITEMS, _ITEMS_FRAC = 3, 0.2
_MIN_PROMPTS, _PROMPTS_FRAC = 6, 0.5
_MIN_FREQUENT, _FREQUENT_FRAC = 50, 0.02
_MIN_END, _ENDS_FRAC, _SHORT_ENDS_FRAC = 4, 0.5, 0.9  # "What is the" is no template
_MAX_END = 400


def trimmed(items: Sequence[Units]) -> list[tuple[int, int]]:
    """Return, for each item of one set, where its own text begins and ends: the template around it is left out."""
    different = set(items)
    heads = _ends(different)
    tails = _ends({item[::-1] for item in different})
    out = []
    for item in items:
        start = _length(item, heads)
        out.append((start, max(start, len(item) - _length(item[::-1], tails))))
    return out


def _ends(items: set[Units]) -> set[Units]:
    """Return the beginnings that enough of the items share."""
    alive, shared = list(items), set[Units]()
    for length in range(1, _MAX_END):
        alive = [item for item in alive if len(item) >= length]
        counts = Counter(item[:length] for item in alive)
        often = {head: n for head, n in counts.items() if n >= max(_MIN_ITEMS, _ENDS_FRAC * len(items))}
        if not often:
            break
        bound = _ENDS_FRAC if length >= _MIN_END else _SHORT_ENDS_FRAC
        shared |= {head for head, n in often.items() if n >= bound * len(items)}
        alive = [item for item in alive if item[:length] in often]
    return shared


def _length(item: Units, ends: set[Units]) -> int:
    return max((len(end) for end in ends if item[: len(end)] == end), default=0)


def frequent_in_items(grams: Iterable[Iterable[Gram]]) -> set[Gram]:
    """Return the runs that stand in many of the different items of one evaluation set."""
    lists = list(grams)
    counts = Counter(gram for one in lists for gram in one)
    return {gram for gram, n in counts.items() if n >= max(_MIN_ITEMS, _ITEMS_FRAC * len(lists))}


def frequent_in_prompts(counts: Mapping[Gram, int], n_prompts: int) -> set[Gram]:
    """Return the runs that stand in many of the different prompts of the pool."""
    most = max(_MIN_PROMPTS, _PROMPTS_FRAC * n_prompts)
    bound = min(most, max(_MIN_FREQUENT, _FREQUENT_FRAC * n_prompts))
    return {gram for gram, n in counts.items() if n >= bound}


def passages(items: Iterable[Units], n: int, aside: set[Units]) -> Counter[Units]:
    """Join the runs of n units that follow each other in an item to passages; count the items that hold each."""
    return Counter(passage for item in items for passage in set(_passages(item, n, aside)))


def _passages(item: Units, n: int, aside: set[Units]) -> Iterator[Units]:
    start = end = 0
    for i in range(len(item) - n + 1):
        if item[i : i + n] not in aside:
            continue
        if i > end or end == 0:
            if end:
                yield item[start:end]
            start = i
        end = i + n
    if end:
        yield item[start:end]
