"""Corruptions of the pool."""

import gzip
import json
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saerl_core.config.run import QualityConfig
from saerl_core.errors import DataError
from saerl_core.signals.corruptions import KINDS, corrupt_prompts
from tests.signals.factory import pool, shuffled


def test_kinds_share_the_number_evenly():
    found = corrupt_prompts(pool(100), QualityConfig(n_corruptions=53), 0)
    assert Counter(found["kind"]) == dict(zip(KINDS, (11, 11, 11, 10, 10), strict=True))


def test_texts_are_new_and_ids_unique():
    frame = pool(60)
    found = corrupt_prompts(frame, QualityConfig(n_corruptions=300), 0)
    assert len(found) == 300
    assert found["prompt"].is_unique
    assert found["prompt_id"].is_unique
    assert not set(found["prompt"]) & set(frame["prompt"])
    assert not set(found["prompt_id"]) & set(frame["prompt_id"])
    assert set(found["original_id"]) <= set(frame["prompt_id"])


def test_a_character_tokenizer_of_the_pool_can_read_them():
    frame = pool(60)
    found = corrupt_prompts(frame, QualityConfig(n_corruptions=300), 1)
    known = set("".join(frame["prompt"])) | set("".join(frame["answer"]))
    assert set("".join(found["prompt"])) <= known


def test_each_kind_is_what_its_name_says():
    frame = pool(100)
    texts = frame.set_index("prompt_id")["prompt"]
    answers = frame.set_index("prompt_id")["answer"]
    topics = frame.set_index("prompt_id")["topic"]
    found = corrupt_prompts(frame, QualityConfig(n_corruptions=200), 0)
    for row in found.itertuples():
        original = texts[row.original_id]
        if row.kind == "truncated":
            body = row.prompt.removesuffix("=")
            assert original.startswith(body)
            assert len(body) <= 0.7 * len(original)
        elif row.kind == "merged":
            assert original in row.prompt
            assert texts[row.partner_id] in row.prompt
        elif row.kind == "wrong_domain":
            assert topics[row.partner_id] != topics[row.original_id]
            assert topics[row.partner_id][:2] in row.prompt
        elif row.kind == "answer_leaked":
            assert original in row.prompt
            assert row.prompt.replace(original, "").strip().endswith(answers[row.original_id])
        else:
            assert row.kind == "garbage"
            assert abs(len(row.prompt) - len(original)) <= 2


def test_endings_are_no_giveaway():
    found = corrupt_prompts(pool(200), QualityConfig(n_corruptions=400), 0)
    for kind in ("truncated", "garbage"):
        share = found.loc[found["kind"] == kind, "prompt"].str.endswith("=").mean()
        assert 0.3 < share < 0.7, kind


def test_off_topic_sentences_appear_where_the_alphabet_has_letters():
    letters = "abcdefghijklmnopqrstuvwxyz"
    frame = pool(40, prompt=[f"solve {letters} for case {i}" for i in range(40)], topic=None)
    found = corrupt_prompts(frame, QualityConfig(n_corruptions=100), 0)
    assert (found["kind"] == "wrong_domain").sum() == 20
    assert found.loc[found["kind"] == "wrong_domain", "partner_id"].isna().all()
    common = ("soup", "train", "kitchen", "bees", "plants", "glasses", "film", "paper", "rain", "door", "music", "dog")
    texts = found.loc[found["kind"] == "wrong_domain", "prompt"]
    assert texts.map(lambda t: any(w in t for w in common)).mean() > 0.5


def test_partners_stay_in_small_blocks():
    found = corrupt_prompts(pool(200), QualityConfig(n_corruptions=1000), 0)
    links = found.dropna(subset=["partner_id"])
    mates = links.groupby("original_id")["partner_id"].nunique()
    assert mates.max() <= 7


def test_row_order_does_not_matter_and_the_seed_does():
    frame, config = pool(80), QualityConfig(n_corruptions=100)
    first = corrupt_prompts(frame, config, 3)
    pd.testing.assert_frame_equal(first, corrupt_prompts(shuffled(frame), config, 3))
    assert set(first["prompt"]) != set(corrupt_prompts(frame, config, 4)["prompt"])


def test_unusable_prompts_are_not_originals_but_their_text_is_not_reused():
    frame = pool(40)
    frame["usable"] = frame.index >= 20
    found = corrupt_prompts(frame, QualityConfig(n_corruptions=100), 0)
    assert set(found["original_id"]) <= set(frame["prompt_id"][20:])
    assert not set(found["prompt"]) & set(frame["prompt"])


def test_one_prompt_cannot_be_merged():
    found = corrupt_prompts(pool(1), QualityConfig(n_corruptions=25), 0)
    assert "merged" not in set(found["kind"])
    assert "truncated" in set(found["kind"])


def test_a_prompt_without_an_answer_leaks_nothing():
    found = corrupt_prompts(pool(30, answer=""), QualityConfig(n_corruptions=50), 0)
    assert "answer_leaked" not in set(found["kind"])


def test_braces_of_latex_are_not_taken_for_the_answers_place():
    frame = pool(20, prompt=[rf"Find $\frac{{a}}{{p}}$ for {i}" for i in range(20)], answer="77")
    found = corrupt_prompts(frame, QualityConfig(n_corruptions=50), 0)
    leaked = found.loc[found["kind"] == "answer_leaked", "prompt"]
    assert leaked.str.contains(r"\frac{a}{p}", regex=False).all()
    assert (leaked.str.count("77") == 1).all()


def test_no_usable_prompt_is_an_error():
    with pytest.raises(DataError, match="none of 4 prompts is usable"):
        corrupt_prompts(pool(4, usable=False), QualityConfig(), 0)


@settings(max_examples=30)
@given(st.lists(st.text("ab {}$\\\n", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=12))
def test_any_pool_gives_new_readable_texts(texts):
    frame = pool(len(texts), prompt=texts)
    found = corrupt_prompts(frame, QualityConfig(n_corruptions=15), 0)
    known = set("".join(texts)) | set("".join(frame["answer"]))
    assert len(found) <= 15
    assert set("".join(found["prompt"])) <= known
    assert not set(found["prompt"]) & set(texts)
    assert found["prompt"].is_unique


def test_real_math_problems(shared_data):
    with gzip.open(shared_data / "math_train.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(600)]
    frame = pool(
        len(rows),
        prompt=[r["prompt"] for r in rows],
        answer=[str(r["answer"]) for r in rows],
        topic=[r["topic"] for r in rows],
    )
    found = corrupt_prompts(frame, QualityConfig(n_corruptions=500), 0)
    assert set(Counter(found["kind"]).values()) == {100}
    assert set("".join(found["prompt"])) <= set("".join(frame["prompt"])) | set("".join(frame["answer"]))
