"""Which prompts give away an evaluation item, measured by n-gram coverage, with receipts.

coverage(item, prompt) = |grams(item) & grams(prompt)| / |grams(item)|, where grams are the distinct runs of n tokens.
"Any shared 13-gram" would flag a third of AIME by one boilerplate sentence; the share of the item's n-grams does not.

Tokens are runs of letters and digits, lower-cased, each CJK character by itself; [asy] drawings are left out, as their
code repeats. An item is matched where coverage reaches the threshold; a match is `exact` where all tokens are the same
in the same order. Signs are no tokens, so an exact match of long items may differ in one: the match table shows both
texts. Items too short for a single n-gram are matched only by their whole normalised text, signs included.

n = 13 with a threshold of 0.5 gives the known truth on MATH: of 500 test items, 15 are covered by training prompts, one
of them exactly. (24 prompts cover them, as several can cover one item.) Smaller n finds templates rather than leaks:
n = 8 gives 29 items.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from saerl_core.ids import normalise_text
from saerl_core.progress import track
from saerl_core.prompts.inspect import CJK

_DRAWING = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)", re.DOTALL)
_TOKEN = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")


@dataclass(frozen=True)
class EvalItem:
    """One evaluation prompt and where it stands."""

    benchmark: str
    eval_id: str
    prompt: str


@dataclass(frozen=True)
class Match:
    """A prompt of the pool, by position, that covers an evaluation item."""

    prompt_index: int
    item: EvalItem
    coverage: float
    exact: bool


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the tokens that n-grams are made of."""
    return tuple(_TOKEN.findall(_DRAWING.sub(" ", unicodedata.normalize("NFC", text)).lower()))


class CoverageIndex:
    """An inverted index from the n-grams of evaluation items to the items; memory grows with these alone."""

    def __init__(self, items: Sequence[EvalItem], ngram_tokens: int, threshold: float) -> None:
        self._items, self._n, self._threshold = items, ngram_tokens, threshold
        self._of_gram: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._of_text: dict[str, list[int]] = defaultdict(list)  # short items only
        self._tokens = [tokens_of(item.prompt) for item in items]
        self._n_grams = [0] * len(items)
        for i, tokens in enumerate(self._tokens):
            grams = _grams(tokens, ngram_tokens)
            self._n_grams[i] = len(grams)
            for gram in grams:
                self._of_gram[gram].append(i)
            if not grams:
                self._of_text[normalise_text(items[i].prompt)].append(i)

    @property
    def n_short(self) -> int:
        """Number of items that have no n-gram and are matched by their whole text only."""
        return self._n_grams.count(0)

    def matches(self, prompt: str, prompt_index: int) -> list[Match]:
        """Return the items that a prompt covers, in the order of the items."""
        tokens = tokens_of(prompt)
        shared: Counter[int] = Counter()
        for gram in _grams(tokens, self._n):
            shared.update(self._of_gram.get(gram, ()))
        found = {i: n / self._n_grams[i] for i, n in shared.items() if n >= self._threshold * self._n_grams[i]}
        exact = set(self._of_text.get(normalise_text(prompt), ()))
        found |= dict.fromkeys(exact, 1.0)
        return [
            Match(prompt_index, self._items[i], found[i], i in exact or tokens == self._tokens[i])
            for i in sorted(found)
        ]


def find_matches(
    prompts: Sequence[str], items: Sequence[EvalItem], ngram_tokens: int, threshold: float
) -> tuple[list[Match], int]:
    """Return all matches of the prompts with the items, and how many items are too short for n-grams."""
    index = CoverageIndex(items, ngram_tokens, threshold)
    found: list[Match] = []
    with track(len(prompts), "compare with evaluation sets", unit="prompt") as bar:
        for i, prompt in enumerate(prompts):
            found += index.matches(prompt, i)
            bar.update()
    return found, index.n_short


def find_exact(prompts: Sequence[str], items: Sequence[EvalItem]) -> list[Match]:
    """Return the prompts whose whole normalised text is an evaluation item; signs, spacing of words and case count."""
    of_text: dict[str, list[EvalItem]] = defaultdict(list)
    for item in items:
        of_text[normalise_text(item.prompt)].append(item)
    return [
        Match(i, item, 1.0, exact=True)
        for i, prompt in enumerate(prompts)
        for item in of_text.get(normalise_text(prompt), ())
    ]


def _grams(tokens: tuple[str, ...], n: int) -> set[tuple[str, ...]]:
    return {tokens[i : i + n] for i in range(len(tokens) - n + 1)}
