"""Names of latents: words around the tokens that they fire on."""

import numpy as np
import pandas as pd
import pytest

from saerl_core.features.naming import example, name_latents, name_of, word_at
from saerl_core.features.peaks import Peaks
from saerl_core.features.tokens import tokenize_prompts
from saerl_core.named_features import NamedFeatures
from saerl_core.policy.loading import load_tokenizer
from saerl_core.world.tokenizer import build_tokenizer


@pytest.mark.parametrize(
    ("words", "before", "name"),
    [
        (["mod", "mod", "of", "mod", "of"], [], "mod, of"),
        (["mod", "mod", "of", "sum", "to"], [], "mod"),
        (["mod", "of", "sum"], [], "mod, of, sum"),
        (["a", "b", "c", "d"], ["flip", "so flip", "flip flip", ""], "near flip"),
        (["a", "b", "c", "d"], ["flip", "flip", "sort", ""], "mixed"),
        (["3", "17", "mod"], [], "a number"),
        (["3", "3", "mod"], [], "3"),
        (["=", "=", "="], ["sort 86", "sort", "sum"], "= near sort"),
        (["=", "=", "="], ["tom has", "ann has", ""], "= near has"),
        (["3", "4", "="], ["so order", "order 7", ""], "a number near order"),
        (["mod", "mod"], ["so", "so"], "mod"),
        (["=", "="], ["7", "8"], "="),
        ([], [], "mixed"),
    ],
)
def test_a_name_is_what_occurs_again(words, before, name):
    assert name_of(words, before) == name


@pytest.mark.parametrize(
    ("text", "at", "word", "line"),
    [
        ("17 mod 6", (4, 5), "mod", "17 m«o»d 6"),
        ("17 mod 6", (0, 1), "17", "«1»7 mod 6"),
        ("3x + Große", (5, 8), "große", "3x + «Gro»ße"),
        ("3x", (0, 1), "3", "«3»x"),
        ("What is the remainder", (7, 11), "the", "What is «the» remainder"),
        ("flip abc", (4, 5), "after flip", "flip«␣»abc"),
        ("a\n\nb", (1, 3), "after a", "a«⏎⏎»b"),
        ("\n", (0, 1), "⏎", "«⏎»"),
        ("x $= y", (2, 4), "$=", "x «$=» y"),
        ("evil \x1b[31m\u202e", (5, 6), "�", "evil «�»[31m�"),
        ("x" * 60, (40, 41), "x" * 23 + "…", "…" + "x" * 32 + "«x»" + "x" * 16 + "…"),
        ("abc", (1, 1), "mixed", "a«»bc"),
    ],
)
def test_words_and_examples(text, at, word, line):
    assert word_at(text, *at) == word
    assert example(text, *at) == line


def peaks_at(places: list[tuple[int, int, int]]) -> Peaks:
    columns = (np.array(column) for column in zip(*places, strict=True))
    return Peaks(*columns, np.linspace(2, 1, len(places), dtype=np.float32))


def test_a_table_by_hand(tmp_path):
    """The tokenizer of the task world puts one token in front and makes one of each character."""
    pool = pd.DataFrame({"prompt_id": ["a", "b", "c"], "prompt": ["17 mod 6=", "9 mod 4=", "sum 1 2="]})
    tokenizer = build_tokenizer()
    tokens = tokenize_prompts(pool, tokenizer, 64)
    peaks = peaks_at([(4, 0, 4), (4, 1, 3), (7, 2, 1)])  # positions count the token in front
    table = name_latents(pool, tokens, tokenizer, peaks, np.array([0, 0, 0, 0, 2, 0, 0, 1]))
    assert table["latent"].tolist() == [4, 7]
    assert table["name"].tolist() == ["mod", "sum"]
    assert table["n_prompts"].tolist() == [2, 1]
    assert table["peak"].tolist() == [2.0, 1.0]
    assert table["examples"].tolist() == ["17 «m»od 6=\n9 «m»od 4=", "«s»um 1 2="]
    named = NamedFeatures.of(table)
    assert (named[4].name, named[4].examples) == ("mod", ("17 «m»od 6=", "9 «m»od 4="))
    assert (named[5].name, named[5].n_prompts) == ("#5", None)
    assert NamedFeatures.of(None)[4].name == "#4"


def test_a_tokenizer_that_knows_no_places_spells_the_prompt(policy, monkeypatch):
    pool = pd.DataFrame({"prompt_id": ["a"], "prompt": ["ab+c"]})
    tokenizer = load_tokenizer(policy)
    tokens = tokenize_prompts(pool, tokenizer, 64)
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    table = name_latents(pool, tokens, tokenizer, peaks_at([(0, 0, 2)]), np.array([1]))
    assert table.loc[0, ["name", "examples"]].tolist() == ["ab", "a«b»+c"]


def test_nothing_fires(policy):
    pool = pd.DataFrame({"prompt_id": ["a"], "prompt": [""]})
    tokenizer = load_tokenizer(policy)
    nothing = Peaks(*(np.zeros(0, dtype=np.int64) for _ in range(3)), np.zeros(0, dtype=np.float32))
    table = name_latents(pool, tokenize_prompts(pool, tokenizer, 64), tokenizer, nothing, np.zeros(4, dtype=np.int64))
    assert table.empty
