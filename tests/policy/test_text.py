"""The language model of the pool's text."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import PolicyConfig, TaskWorldConfig
from saerl_core.errors import DataError
from saerl_core.policy.fitting import EarlyStop
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.prepare import prepare_policy
from saerl_core.policy.text import divide_texts, train_tokenizer
from saerl_core.world.splits import build_world

pytest.importorskip("transformers")

TINY = PolicyConfig(
    source="text",
    hidden_size=16,
    n_layers=1,
    n_heads=2,
    intermediate_size=32,
    vocab_size=300,
    pretrain_steps=30,
    batch_size=4,
)


@pytest.fixture(scope="module")
def pool() -> pd.DataFrame:
    table = build_world(TaskWorldConfig(n_train=300, n_dev=0, n_test=1), 0)["train"]
    numbers = range(len(table))
    table["prompt"] = [
        f"Find the value of ${p[:-1]}$ or prove é{i}." for i, p in zip(numbers, table["prompt"], strict=True)
    ]
    return table


def test_it_learns_and_does_not_know_the_row_order(pool: pd.DataFrame, tmp_path: Path):
    ref, report = prepare_policy(TINY, pool, tmp_path / "one", 5)
    assert report.loss_curve[-1][1] < report.loss_curve[0][1]
    assert 0.0 < report.values["held_out_loss"] < np.log(300)
    assert report.values["held_out_bits_per_byte"] < 8.0
    assert report.values["vocab_size"] == 300
    again, _ = prepare_policy(TINY, pool.sample(frac=1.0, random_state=1), tmp_path / "two", 5)
    assert again.policy_id == ref.policy_id
    model, tokenizer = load_model(ref), load_tokenizer(ref)
    assert model.config.vocab_size == len(tokenizer) == 300
    ids = tokenizer("Find  the é.")["input_ids"]
    assert ids[0] == model.config.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Find  the é."


@pytest.mark.parametrize("text", ["Let $x^2 = 4$.", "naïve — 😀\n\tend", "  two  blanks ", "don't , stop ."])
def test_the_tokenizer_gives_back_every_byte(pool: pd.DataFrame, text: str):
    tokenizer = train_tokenizer(list(pool["prompt"]), 400)
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.padding_side == "left"


def test_texts_kept_out_unusable_and_held_out_are_not_learnt(pool: pd.DataFrame):
    table = pool.copy()
    table.loc[:9, "usable"] = False
    held_out = frozenset(table["prompt"][10:20])
    learn, out = divide_texts(table, held_out)
    assert set(learn) | set(out) == set(table["prompt"][20:])
    assert not set(learn) & set(out)
    assert 0 < len(out) < 0.15 * len(learn)


def test_one_short_text_is_enough(pool: pd.DataFrame, tmp_path: Path):
    _, report = prepare_policy(TINY, pool.iloc[:1], tmp_path / "p", 0)
    assert "held_out_loss" not in report.values
    assert "too few texts" in report.notes[0]


def test_no_text_is_refused(pool: pd.DataFrame, tmp_path: Path):
    with pytest.raises(DataError, match="none of 0 prompts"):
        prepare_policy(TINY, pool.iloc[:0], tmp_path / "p", 0)
    with pytest.raises(DataError, match="none of 300 prompts"):
        prepare_policy(TINY, pool.assign(usable=False), tmp_path / "p", 0)
    assert not (tmp_path / "p").exists()


def test_a_small_pool_is_not_learnt_by_heart(pool: pd.DataFrame, tmp_path: Path):
    many = TINY.model_copy(update={"pretrain_steps": 100_000, "hidden_size": 32, "intermediate_size": 64})
    _, report = prepare_policy(many, pool[:40], tmp_path / "small", 0)
    (note,) = report.notes
    assert "of policy.pretrain_steps = 100000" in note
    assert report.loss_curve[-1][0] <= 200


def test_a_rising_loss_ends_the_training_with_the_best_weights():
    import torch

    losses = iter([3.0, 2.0, 2.5, 2.0])
    model = torch.nn.Linear(1, 1)
    stop = EarlyStop(lambda: next(losses))
    ended = []
    for step in range(25, 125, 25):
        torch.nn.init.constant_(model.weight, step)
        ended.append(stop.wants_to_stop(model, step))
    assert ended == [False, False, False, True]
    stop.give_back(model)
    assert (stop.stopped_at, stop.best, model.weight.item()) == (100, 2.0, 50.0)
