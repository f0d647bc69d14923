"""The character tokenizer is a real Hugging Face tokenizer."""

from pathlib import Path

import pytest

from saerl_core.world.tokenizer import ALPHABET, SPECIALS, build_tokenizer

pytest.importorskip("transformers")


def test_one_token_a_character_with_bos_in_front():
    tokenizer = build_tokenizer()
    ids = tokenizer("12+3=")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.convert_ids_to_tokens(ids[1:]) == ["1", "2", "+", "3", "="]
    assert len(tokenizer) == len(ALPHABET) + len(SPECIALS)
    assert tokenizer("ab", add_special_tokens=False)["input_ids"] == ids[:0] + tokenizer.convert_tokens_to_ids(
        ["a", "b"]
    )


@pytest.mark.parametrize("text", [ALPHABET, "  a  b ", "count a in abca=", "1,2,3#3", ""])
def test_round_trip(text: str):
    tokenizer = build_tokenizer()
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_unknown_characters_become_one_unknown_token_each():
    tokenizer = build_tokenizer()
    assert tokenizer("aÄ\nb", add_special_tokens=False)["input_ids"].count(tokenizer.unk_token_id) == 2


def test_pads_on_the_left():
    tokenizer = build_tokenizer()
    batch = tokenizer(["1+1=", "2="], padding=True)
    assert batch["attention_mask"] == [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]
    assert batch["input_ids"][1][:2] == [tokenizer.pad_token_id] * 2


def test_saved_and_loaded_it_is_the_same(tmp_path: Path):
    from transformers import AutoTokenizer

    build_tokenizer().save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    before, after = build_tokenizer()(["12=", "a"], padding=True), loaded(["12=", "a"], padding=True)
    assert before["input_ids"] == after["input_ids"]
    assert loaded.padding_side == "left"
    assert loaded.eos_token_id == build_tokenizer().eos_token_id
