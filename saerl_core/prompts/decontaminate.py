"""Which prompts give away an evaluation item, measured by n-gram coverage, with receipts.

coverage(item, prompt) = |grams(item) & grams(prompt)| / |grams(item)|, where grams are the distinct runs of n units of
`folding.units`, without those that are `boilerplate`. "Any shared 13-gram" would flag a third of AIME by one sentence;
the share of the item's n-grams does not.

| an item is matched where                                         | because                                           |
|------------------------------------------------------------------|---------------------------------------------------|
| coverage reaches the threshold                                   | most of what is its own stands there              |
| it has an n-gram, and its words in their order are the prompt's  | one sign changed still gives a problem away       |
| its units stand in the prompt without a gap, from 3 units on     | items too short for an n-gram leak as well        |
| it has 1 or 2 units ("Simplify 6/8" has 3), and they are all of  | a phrase this short stands in many prompts that   |
| the prompt; or both have none ([asy] alone) and are the same     | have nothing to do with the item                  |

A match is `exact` where all words are the same in the same order, for short items the signs as well, and `whole` where
the item with all its signs stands in the prompt without a gap. An exact match of a long item may differ in signs: the
match table shows both texts. A formula that goes on behind an item is another problem: 2 + 3 + 4 does not give 2 + 3
away, nor does "How many primes are there that ..." give "How many primes are there?" away; and a
short question about a drawing is another one about another drawing.

n = 13 with a threshold of 0.5 gives the known truth on MATH: `benchmarks/contamination.py`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saerl_core.ids import normalise_text
from saerl_core.progress import track
from saerl_core.prompts import boilerplate
from saerl_core.prompts.folding import drawn, goes_on, units, words
from saerl_core.records import Boilerplate

MIN_WHOLE_UNITS = 3  # fewer are matched only where they are the whole prompt
_MIN_CORE_UNITS = 6  # what is left of an item without its template must be a problem of its own
_KEY_UNITS = (3, 6)  # items are looked up by their first units: 6 where there are as many
_SAME_DRAWING = 0.9  # share of the words and numbers of an item's drawing
_MAX_PASSAGES = 20

# words that go on with the sentence, unless a new one begins there ("... of 7? If you cannot tell, say so.")
_CONNECTIVE = re.compile(
    r"that|which|whose|who|such|if|when|where|with|without|for|in|of|by|between|from|than|and|or|but|as|at|on|to|having"
    r"|containing|given|under|over|until|while|less|more|not"
)

Units = tuple[str, ...]


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
    whole: bool = False


@dataclass(frozen=True)
class Comparison:
    """What a comparison of prompts with evaluation items found."""

    matches: tuple[Match, ...]
    n_short: int  # items without a single n-gram of their own: matched as a whole only
    boilerplate: tuple[Boilerplate, ...]


@dataclass(frozen=True)
class _Item:
    units: Units
    words: Units
    core: Units  # units without the template around them
    ends: tuple[Units, ...]  # that template
    grams: frozenset[Units]  # of the core
    drawing: frozenset[str]


@dataclass(frozen=True)
class _Hits:
    """What of the evaluation items stands in one prompt."""

    grams: tuple[int, ...]  # numbers of n-grams; under one template every prompt holds many
    whole: frozenset[int]
    exact: frozenset[int]


class LeakIndex:
    """An inverted index from pieces of evaluation items to the items; memory grows with these alone."""

    def __init__(self, items: Sequence[EvalItem], ngram_tokens: int) -> None:
        self.n = ngram_tokens
        self.items = _read(items, ngram_tokens)
        self.number: dict[Units, int] = {}  # also of runs that belong to templates: how often they occur is counted
        self.of_gram: dict[int, list[int]] = defaultdict(list)
        self._lengths: dict[Units, set[int]] = defaultdict(set)
        self._pieces: dict[Units, set[int]] = defaultdict(set)
        self._of_words: dict[Units, list[int]] = defaultdict(list)
        self._of_units: dict[Units, list[int]] = defaultdict(list)
        self._of_text: dict[str, list[int]] = defaultdict(list)  # items without any unit
        for i, item in enumerate(self.items):
            for gram in grams_of(item.units, ngram_tokens):
                self.number.setdefault(gram, len(self.number))
            for gram in item.grams:
                self.of_gram[self.number[gram]].append(i)
            for piece in (item.units, item.core):
                if len(piece) >= MIN_WHOLE_UNITS:
                    key = _KEY_UNITS[1] if len(piece) >= _KEY_UNITS[1] else _KEY_UNITS[0]
                    self._lengths[piece[:key]].add(len(piece))
                    self._pieces[piece].add(i)
            if not item.units:
                self._of_text[normalise_text(items[i].prompt)].append(i)
            elif item.grams:
                self._of_words[item.words].append(i)
            else:
                self._of_units[item.units].append(i)
        self._vocabulary = {unit for item in self.items for unit in item.units}

    def hits(self, prompt: str, told: Units) -> _Hits:
        """Return the n-grams and whole items that stand in a prompt, given with its units."""
        found: set[int] = set()
        whole: set[int] = set()
        bare = words(told)
        for start, end in self._runs(told):
            grams = (self.number.get(told[i : i + self.n]) for i in range(start, end - self.n + 1))
            found.update(gram for gram in grams if gram is not None)
            for size in _KEY_UNITS:
                for i in range(start, end - size + 1):
                    for length in self._lengths.get(told[i : i + size], ()):
                        here = self._pieces.get(told[i : i + length])
                        if here and not _continued(told, i + length, prompt):
                            whole |= here
        same = {*self._of_words.get(bare, ()), *self._of_units.get(told, ())} if told else set()
        whole, same = self._same_drawing(prompt, whole), self._same_drawing(prompt, same)
        return _Hits(tuple(found), frozenset(whole), frozenset(same or self._same_text(prompt, told)))

    def _same_drawing(self, prompt: str, found: set[int]) -> set[int]:
        """Leave out short items that ask about a drawing, where the prompt asks the same about another one."""
        if not any(self.items[i].drawing for i in found):
            return found
        here = drawn(prompt)
        return {
            i
            for i in found
            if self.items[i].grams or len(self.items[i].drawing & here) >= _SAME_DRAWING * len(self.items[i].drawing)
        }

    def _same_text(self, prompt: str, told: Units) -> Sequence[int]:
        return () if told else self._of_text.get(normalise_text(prompt), ())

    def _runs(self, told: Units) -> Iterator[tuple[int, int]]:
        """Yield the stretches of units that occur in any item: nothing else can match."""
        start = 0
        for i, unit in enumerate(told):
            if unit not in self._vocabulary:
                if i - start >= MIN_WHOLE_UNITS:
                    yield start, i
                start = i + 1
        if len(told) - start >= MIN_WHOLE_UNITS:
            yield start, len(told)


def find_matches(prompts: Sequence[str], items: Sequence[EvalItem], ngram_tokens: int, threshold: float) -> Comparison:
    """Compare all prompts with all items; what is boilerplate depends on all of them, not on their order."""
    index = LeakIndex(items, ngram_tokens)
    hits: dict[int, _Hits] = {}
    counts: Counter[int] = Counter()
    different: set[int] = set()
    with track(len(prompts), "compare with evaluation sets", unit="prompt") as bar:
        for i, prompt in enumerate(prompts):
            told = units(prompt)
            found = index.hits(prompt, told)
            if hash(told) not in different:
                counts.update(found.grams)
                different.add(hash(told))
            if found.grams or found.whole or found.exact:
                hits[i] = found
            bar.update()
    aside = _aside(index, items) | boilerplate.frequent_in_prompts(counts, len(different))
    left = [sum(index.number[gram] not in aside for gram in item.grams) for item in index.items]
    matches = [m for i, found in hits.items() for m in _matches(i, found, index, left, aside, items, threshold)]
    return Comparison(tuple(matches), left.count(0), _told(index, aside, counts))


def find_exact(prompts: Sequence[str], items: Sequence[EvalItem]) -> list[Match]:
    """Return the prompts whose whole normalised text is an evaluation item; signs, spacing of words and case count."""
    of_text: dict[str, list[EvalItem]] = defaultdict(list)
    for item in items:
        of_text[normalise_text(item.prompt)].append(item)
    return [
        Match(i, item, 1.0, exact=True, whole=True)
        for i, prompt in enumerate(prompts)
        for item in of_text.get(normalise_text(prompt), ())
    ]


def grams_of(told: Units, n: int) -> set[Units]:
    """Return the distinct runs of n units."""
    return {told[i : i + n] for i in range(len(told) - n + 1)}


def _read(items: Sequence[EvalItem], n: int) -> list[_Item]:
    """Fold the items and find what is their own, one evaluation set at a time."""
    told = [units(item.prompt) for item in items]
    out: dict[int, _Item] = {}
    for members in _by_set(items):
        for i, (start, end) in zip(members, boilerplate.trimmed([told[i] for i in members]), strict=True):
            core, ends = told[i][start:end], tuple(piece for piece in (told[i][:start], told[i][end:]) if piece)
            if len(core) < _MIN_CORE_UNITS:
                core, ends = told[i], ()
            out[i] = _Item(told[i], words(told[i]), core, ends, frozenset(grams_of(core, n)), drawn(items[i].prompt))
    return [out[i] for i in range(len(items))]


def _by_set(items: Sequence[EvalItem]) -> list[list[int]]:
    members: dict[str, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        members[item.benchmark].append(i)
    return list(members.values())


def _continued(told: Units, end: int, prompt: str) -> bool:
    """Return whether what follows in the prompt makes another problem of the words before it."""
    if end >= len(told) or goes_on(told[end]):
        return end < len(told)
    if not _CONNECTIVE.fullmatch(told[end]):
        return False
    return re.search(rf"[.?!:;\n(。][^\w\n]*{told[end]}\b", prompt.lower()) is None


def _aside(index: LeakIndex, items: Sequence[EvalItem]) -> set[int]:
    aside: set[int] = set()
    for members in _by_set(items):
        different = {index.items[i].units for i in members}
        frequent = boilerplate.frequent_in_items(grams_of(told, index.n) for told in different)
        aside |= {index.number[gram] for gram in frequent}
    return aside


def _matches(
    i: int,
    found: _Hits,
    index: LeakIndex,
    left: Sequence[int],
    aside: set[int],
    items: Sequence[EvalItem],
    threshold: float,
) -> list[Match]:
    """Return the items that one prompt covers, in the order of the items."""
    own = (gram for gram in found.grams if gram not in aside)
    shared = Counter(item for gram in own for item in index.of_gram.get(gram, ()))
    covered = {item: n / left[item] for item, n in shared.items() if n >= threshold * left[item]}
    covered |= dict.fromkeys(found.whole | found.exact, 1.0)
    return [
        Match(i, items[item], covered[item], exact=item in found.exact, whole=item in found.whole)
        for item in sorted(covered)
    ]


def _told(index: LeakIndex, aside: set[int], counts: Counter[int]) -> tuple[Boilerplate, ...]:
    """Return the passages that were set aside, those of most items first, no part of a listed one again."""
    different = {item.units: item for item in index.items}
    passages = boilerplate.passages(different, index.n, {gram for gram, i in index.number.items() if i in aside})
    passages.update(end for item in different.values() for end in item.ends if len(end) < index.n)
    texts = [f" {' '.join(told)} " for told in different]
    out: list[Boilerplate] = []
    for passage, _ in sorted(passages.items(), key=lambda one: (-one[1], -len(one[0]), one[0])):
        text = " ".join(passage)
        if any(text in listed.text or listed.text in text for listed in out):
            continue
        n_items = sum(f" {text} " in told for told in texts)
        n_prompts = max((counts[index.number[gram]] for gram in grams_of(passage, index.n)), default=None)
        out.append(Boilerplate(text=text, n_items=n_items, n_prompts=n_prompts))
        if len(out) == _MAX_PASSAGES:
            break
    return tuple(out)
