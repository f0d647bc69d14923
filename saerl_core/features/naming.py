"""Names of latents, made of the words that they fire on."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Int

from saerl_core.features.peaks import Peaks
from saerl_core.features.tokens import TokenizedPrompts
from saerl_core.named_features import FEATURE_NAMES, printable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

N_EXAMPLES = 3
MIXED, NUMBER = "mixed", "a number"
_N_WORDS, _MAX_WORD = 3, 24
_BEFORE, _AFTER = 32, 16  # characters of the text around a token
_VISIBLE = {"\n": "⏎", "\r": "⏎", "\t": "⇥", " ": "␣"}
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d_]+|\d+")

_CHUNK = 1024  # peaks whose prompts are tokenised in one call
Text = tuple[str, Sequence[tuple[int, int]]]  # a prompt, and where each of its tokens stands in it


@dataclass(frozen=True)
class _Place:
    word: str
    before: str
    example: str


def name_latents(
    prompts: pd.DataFrame,
    tokens: TokenizedPrompts,
    tokenizer: "PreTrainedTokenizerBase",
    peaks: Peaks,
    n_prompts: Int[np.ndarray, " d_sae"],
) -> pd.DataFrame:
    """Return `FEATURE_NAMES`: a row for every latent with a peak, in the order of the latents.

    `n_prompts`: in how many prompts' rows each latent is. An example is the text around a peak, the largest first,
    equal texts once.
    """
    places = _places(prompts, tokens, tokenizer, peaks)
    latents, starts = np.unique(peaks.latent, return_index=True)
    stops = np.append(starts, len(peaks.latent))[1:]
    rows = []
    for latent, start, stop in zip(latents, starts, stops, strict=True):
        own = places[start:stop]
        examples = dict.fromkeys(place.example for place in own)
        rows.append(
            {
                "latent": int(latent),
                "name": name_of([place.word for place in own], [place.before for place in own]),
                "n_prompts": int(n_prompts[latent]),
                "peak": float(peaks.value[start]),
                "examples": "\n".join(list(examples)[:N_EXAMPLES]),
            }
        )
    return FEATURE_NAMES.check(pd.DataFrame(rows, columns=list(FEATURE_NAMES.columns)))


def _places(
    prompts: pd.DataFrame, tokens: TokenizedPrompts, tokenizer: "PreTrainedTokenizerBase", peaks: Peaks
) -> list[_Place]:
    """Return what stands at each peak; of few prompts at once are the places of all tokens held."""
    found: dict[int, _Place] = {}
    by_prompt = np.argsort(peaks.prompt, kind="stable")
    for start in range(0, len(by_prompt), _CHUNK):
        chunk = by_prompt[start : start + _CHUNK]
        texts = _texts(prompts, tokens, tokenizer, np.unique(peaks.prompt[chunk]))
        for i in chunk.tolist():
            text, spans = texts[int(peaks.prompt[i])]
            at = spans[int(peaks.position[i]) - tokens.n_prefix]
            found[i] = _Place(word_at(text, *at), text[max(0, at[0] - _BEFORE) : at[0]], example(text, *at))
    return [found[i] for i in range(len(found))]


def name_of(words: Sequence[str], before: Sequence[str] = ()) -> str:
    """Name a latent after the words that it fires on, the largest activation first; `before`: the text before each.

    The words that occur more than once, the most frequent first and at most three; where none does, all of them if
    they are at most three, else "mixed". Different numerals count as one word, "a number". What says little, that is
    signs, numbers and "mixed", is told with the word that stands before most of them: "= near sort", "near flip".
    """
    numerals = {word for word in words if word.isdigit()}
    counts = Counter(NUMBER if word in numerals and len(numerals) > 1 else word for word in words)
    again = [word for word, n in counts.most_common() if n > 1]
    found = (again or list(counts))[:_N_WORDS] if again or len(counts) <= _N_WORDS else []
    says_much = any(word != NUMBER and any(c.isalpha() for c in word) for word in found)
    near = "" if says_much else _shared(before, len(words))
    if not near:
        return ", ".join(found) or MIXED
    return f"{', '.join(found)} near {near}".strip()


def _shared(before: Sequence[str], n_places: int) -> str:
    """Return the word, no numeral, that stands before most of the places, of equals the nearest; "" where none does."""
    counts = Counter(word for text in before for word in dict.fromkeys(reversed(_words(text))) if not word.isdigit())
    word, n = next(iter(counts.most_common(1)), ("", 0))
    return _cut(word) if 2 * n > n_places else ""


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def word_at(text: str, start: int, stop: int) -> str:
    """Return the word that the characters from `start` to `stop` belong to, in lower case; else themselves.

    Letters and digits are different words: "3x" is two. A token of several words counts as its last. A blank is named
    after the word before it.
    """
    while stop > start + 1 and text[stop - 1].isspace():
        stop -= 1
    if start >= stop:
        return MIXED
    kind = _kind(text[stop - 1])
    if not kind:
        piece = text[start:stop].strip()
        last = "" if piece else text[max(0, start - _BEFORE) : start]
        return f"after {_cut(_words(last)[-1])}" if _words(last) else _readable(piece or text[start:stop])[:_MAX_WORD]
    first = stop - 1
    while first > 0 and _kind(text[first - 1]) == kind:
        first -= 1
    while stop < len(text) and _kind(text[stop]) == kind:
        stop += 1
    return _cut(text[first:stop].lower())


def _cut(word: str) -> str:
    return word if len(word) <= _MAX_WORD else word[: _MAX_WORD - 1] + "…"


def _kind(character: str) -> str:
    return "digit" if character.isdigit() else "letter" if character.isalpha() else ""


def example(text: str, start: int, stop: int) -> str:
    """Return the text around a token on one line, the token in «»; what cannot be printed is replaced."""
    piece = text[start:stop]
    start += len(piece) - len(piece.lstrip()) if piece.strip() else 0
    before, after = text[max(0, start - _BEFORE) : start], text[stop : stop + _AFTER]
    head, tail = "…" * (start > _BEFORE), "…" * (stop + _AFTER < len(text))
    line = f"{head}{_line(before)}«{_readable(text[start:stop])}»{_line(after)}{tail}"
    return line.strip()


def _line(text: str) -> str:
    return printable(_SPACE.sub(" ", text))


def _readable(text: str) -> str:
    return printable("".join(_VISIBLE.get(c, c) for c in text))


def _texts(
    prompts: pd.DataFrame,
    tokens: TokenizedPrompts,
    tokenizer: "PreTrainedTokenizerBase",
    rows: Int[np.ndarray, " _"],
) -> dict[int, Text]:
    """Return the given prompts with the places of their tokens, by row; without the prefix."""
    texts = [str(text) for text in prompts["prompt"].to_numpy()[rows]]
    if tokenizer.is_fast and len(rows):
        encoded = tokenizer(
            texts,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return {int(row): (text, at) for row, text, at in zip(rows, texts, encoded["offset_mapping"], strict=True)}
    return {int(row): _spelt(tokens.ids[row][tokens.n_prefix :], tokenizer) for row in rows}


def _spelt(ids: Int[np.ndarray, " _"], tokenizer: "PreTrainedTokenizerBase") -> Text:
    """Put a prompt together from its tokens, one after the other, where the tokenizer knows no places."""
    pieces = [str(tokenizer.decode([int(i)])) for i in ids]
    ends = np.cumsum([len(piece) for piece in pieces]).tolist()
    return "".join(pieces), list(zip([0, *ends[:-1]], ends, strict=True))
