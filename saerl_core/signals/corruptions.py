"""Synthetic bad prompts made from the pool itself: the negative labels of the quality probe."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saerl_core.config.run import QualityConfig
from saerl_core.errors import DataError
from saerl_core.seeds import stage_rng

KINDS = ("truncated", "merged", "wrong_domain", "answer_leaked", "garbage")
COLUMNS = ("prompt_id", "prompt", "kind", "original_id", "partner_id")
_BLOCK = 8  # partners come from the same small block, so that folds can keep both sides together
_TRIES = 12
_LEAKS = ("{p} Answer: {a}", "{p} (the answer is {a})", "The answer is {a}. {p}", "{p} {a}")
_OFF_TOPIC = (
    "Stir the soup slowly and add a pinch of salt before serving.",
    "The train to the coast was late again because of heavy rain.",
    "She painted the kitchen door green and left it open to dry.",
    "Our neighbours keep bees behind the old church near the river.",
    "Please remember to water the plants while we are on holiday.",
    "He could not find his glasses until the dog brought them back.",
    "The film was long but the music at the end made it worthwhile.",
    "Fold the paper twice and keep the letter in a dry drawer.",
)


@dataclass(frozen=True)
class _Source:
    """One prompt of the pool, as the corruptions see it."""

    prompt_id: str
    prompt: str
    answer: str
    topic: str


@dataclass(frozen=True)
class _Pool:
    """What a corruption may draw on beside its original."""

    sources: tuple[_Source, ...]
    alphabet: tuple[str, ...]  # every character that occurs in a prompt or an answer, sorted
    letters: frozenset[str]
    ending: str  # the last character that most prompts share, "" when there is none


Corruption = Callable[[_Source, "_Source | None", _Pool, np.random.Generator], str]


def corrupt_prompts(prompts: pd.DataFrame, config: QualityConfig, seed: int) -> pd.DataFrame:
    """Make `n_corruptions` bad prompts, split evenly over `KINDS`, from the usable rows of the pool.

    Returns the columns prompt_id, prompt, kind, original_id and partner_id (the second pool prompt whose text was
    used, or None). Every text is new: it differs from all prompts of the pool and from all other corruptions, and it
    is written in the characters of the pool's prompts and answers only, so that a character tokenizer can read it.
    Independent of the row order. A kind that a pool cannot supply (one prompt cannot be merged with another) has
    fewer rows. Raises `DataError` when the pool has no usable prompt.
    """
    usable = prompts[prompts["usable"]] if "usable" in prompts else prompts
    if usable.empty:
        raise DataError(f"none of {len(prompts)} prompts is usable: nothing to corrupt; see the flags of the pool")
    pool = _read_pool(usable)
    rng = stage_rng(seed, "corrupt_prompts")
    order = [int(i) for i in rng.permutation(len(pool.sources))]
    taken = {str(p) for p in prompts["prompt"]}
    pairs = _endless(order)
    rows: list[tuple[str, str, str, str, str | None]] = []
    for i, kind in enumerate(KINDS):
        quota = config.n_corruptions // len(KINDS) + (i < config.n_corruptions % len(KINDS))
        rows += _make_kind(kind, quota, pool, pairs, taken, rng)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.sort_values("prompt_id", ignore_index=True)


def _make_kind(
    kind: str,
    quota: int,
    pool: _Pool,
    pairs: Iterator[tuple[int, list[int]]],
    taken: set[str],
    rng: np.random.Generator,
) -> list[tuple[str, str, str, str, str | None]]:
    """Make `quota` corruptions of one kind; `taken` grows by their texts."""
    make = _MAKERS[kind]
    rows: list[tuple[str, str, str, str, str | None]] = []
    for _ in range(quota * _TRIES):
        if len(rows) == quota:
            break
        index, mates = next(pairs)
        source = pool.sources[index]
        partner = _choose_partner(source, [pool.sources[m] for m in mates], kind, pool, rng)
        text = make(source, partner, pool, rng).strip()
        if text and text not in taken:
            taken.add(text)
            partner_id = partner.prompt_id if partner is not None else None
            rows.append((_corruption_id(kind, text), text, kind, source.prompt_id, partner_id))
    return rows


def _read_pool(usable: pd.DataFrame) -> _Pool:
    frame = usable.sort_values("prompt_id")
    blank = pd.Series([""] * len(frame), index=frame.index)
    answers = frame.get("answer", blank)
    topics = frame.get("topic", blank).fillna("")
    sources = tuple(
        _Source(str(i), str(p), str(a).strip(), str(t))
        for i, p, a, t in zip(frame["prompt_id"], frame["prompt"], answers, topics, strict=True)
    )
    alphabet = sorted({c for s in sources for c in s.prompt + s.answer if c not in "\r\n\t\f\v"})
    last, count = Counter(s.prompt.strip()[-1:] for s in sources).most_common(1)[0]
    ending = last if count > len(sources) / 2 and not last.isalnum() else ""
    return _Pool(sources, tuple(alphabet), frozenset(alphabet), ending)


def _endless(order: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield (original, its block mates) round and round, each original once a round."""
    n_blocks = max(1, len(order) // max(2, min(_BLOCK, len(order) // 10)))
    blocks = [[int(i) for i in block] for block in np.array_split(order, n_blocks)]
    while True:
        for block in blocks:
            for index in block:
                yield index, [m for m in block if m != index]


def _choose_partner(
    source: _Source, mates: list[_Source], kind: str, pool: _Pool, rng: np.random.Generator
) -> _Source | None:
    """Return the prompt whose text goes into the corruption, or None where it needs none."""
    if kind not in ("merged", "wrong_domain"):
        return None
    others = [m for m in mates if m.prompt != source.prompt]
    if kind == "wrong_domain":
        others = [m for m in others if m.topic != source.topic]
        if _in_alphabet(_OFF_TOPIC[0], pool) is not None and rng.random() < 0.5:
            return None  # half of them get a sentence that is no task at all
    return others[int(rng.integers(len(others)))] if others else None


def _truncated(source: _Source, _partner: _Source | None, pool: _Pool, rng: np.random.Generator) -> str:
    """Cut the last 30 to 70 % away; every second one keeps the ending that most prompts share."""
    body = source.prompt.strip()
    if len(body) < 3:
        return ""
    cut = max(1, int(len(body) * rng.uniform(0.3, 0.7)))
    return body[:cut].rstrip() + _maybe_ending(pool, rng)


def _merged(source: _Source, partner: _Source | None, pool: _Pool, rng: np.random.Generator) -> str:
    """Write two prompts one after the other: which of them is asked?"""
    if partner is None:
        return ""
    first, second = (source, partner) if rng.random() < 0.5 else (partner, source)
    return first.prompt.strip() + _blank(pool) + second.prompt.strip()


def _wrong_domain(source: _Source, partner: _Source | None, pool: _Pool, rng: np.random.Generator) -> str:
    """Continue with another topic's beginning, or with a sentence that is no task at all."""
    body = source.prompt.strip()
    head = body[: int(len(body) * rng.uniform(0.3, 0.7))].rstrip()
    if partner is not None:
        other = partner.prompt.strip()
        return head + _blank(pool) + other[: max(2, int(len(other) * rng.uniform(0.5, 0.9)))]
    off_topic = _in_alphabet(_OFF_TOPIC[int(rng.integers(len(_OFF_TOPIC)))], pool)
    if off_topic is None:
        return ""
    words = off_topic.split(" ")
    start = int(rng.integers(max(1, len(words) // 2)))
    piece = " ".join(words[start : start + max(2, len(body.split()))])
    return piece if rng.random() < 0.5 else head + _blank(pool) + piece


def _answer_leaked(source: _Source, _partner: _Source | None, pool: _Pool, rng: np.random.Generator) -> str:
    """Write the answer into the prompt, in a phrase where the alphabet allows one."""
    if not source.answer:
        return ""
    found = (_in_alphabet(t, pool, keep="{}") for t in _LEAKS)
    phrases = [p for p in found if p is not None] or ["{p}{a}"]
    phrase = phrases[int(rng.integers(len(phrases)))]
    # LaTeX is full of "{a}": the answer goes into the phrase before the prompt does.
    return source.prompt.strip().join(part.replace("{a}", source.answer) for part in phrase.split("{p}"))


def _garbage(source: _Source, _partner: _Source | None, pool: _Pool, rng: np.random.Generator) -> str:
    """Replace 25 to 60 % of the characters, or shuffle all characters, or shuffle those of each word."""
    ending = _maybe_ending(pool, rng)
    body = source.prompt.strip()
    if ending and body.endswith(ending):
        body = body[:-1]
    way = rng.random()
    if way < 0.6:
        chars = list(body)
        n_changed = max(1, round(len(chars) * rng.uniform(0.25, 0.6)))
        for i in rng.permutation(len(chars))[:n_changed]:
            chars[int(i)] = pool.alphabet[int(rng.integers(len(pool.alphabet)))]
        return "".join(chars) + ending
    if way < 0.8:
        return _shuffle(body, rng) + ending
    return _blank(pool).join(_shuffle(w, rng) for w in body.split()) + ending


def _shuffle(text: str, rng: np.random.Generator) -> str:
    return "".join(text[int(i)] for i in rng.permutation(len(text)))


def _maybe_ending(pool: _Pool, rng: np.random.Generator) -> str:
    # Without this the probe would learn one thing: whether the prompt ends like the others.
    return pool.ending if rng.random() < 0.5 else ""


def _blank(pool: _Pool) -> str:
    return " " if " " in pool.letters else ""


def _in_alphabet(text: str, pool: _Pool, keep: str = "") -> str | None:
    """Return the text as the pool's characters can write it: as it is, in lower case, or without punctuation.

    None where a letter or the blank is missing. Characters of `keep` and the placeholders {p}, {a} stay.
    """
    for version in (text, text.lower(), "".join(c for c in text.lower() if c.isalpha() or c == " " or c in keep)):
        bare = version.replace("{p}", "").replace("{a}", "") if keep else version
        if all(c in pool.letters for c in bare):
            return version
    return None


def _corruption_id(kind: str, text: str) -> str:
    return "corruption-" + hashlib.sha256(f"{kind}:{text}".encode()).hexdigest()[:16]


_MAKERS: dict[str, Corruption] = {
    "truncated": _truncated,
    "merged": _merged,
    "wrong_domain": _wrong_domain,
    "answer_leaked": _answer_leaked,
    "garbage": _garbage,
}
