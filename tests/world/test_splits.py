"""The three tables never overlap, are what was asked for, and are the same bytes for the same seed."""

import hashlib
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from saerl_core.config.run import TaskWorldConfig
from saerl_core.errors import ConfigError
from saerl_core.ids import normalise_text, prompt_id
from saerl_core.tables import PROMPTS
from saerl_core.world import splits
from saerl_core.world.corruptions import KINDS
from saerl_core.world.problems import LEVELS, TOPICS
from saerl_core.world.solver import solve
from saerl_core.world.splits import SPLITS, build_world, split_of

SMALL = TaskWorldConfig(n_train=300, n_dev=60, n_test=90)


@pytest.fixture(scope="module")
def world() -> dict[str, pd.DataFrame]:
    return build_world(TaskWorldConfig(), 0)


def texts(table: pd.DataFrame) -> set[str]:
    return {normalise_text(p) for p in table["prompt"]}


# No shrinking: building a world is slow, and a smaller failing world says no more.
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    seed=st.integers(0, 2**31),
    other_seed=st.integers(0, 2**31),
    bad_frac=st.floats(0.0, 1.0),
    weights=st.tuples(*[st.floats(0.1, 1.0)] * 5),
)
def test_splits_never_overlap(seed: int, other_seed: int, bad_frac: float, weights: tuple[float, ...]):
    config = TaskWorldConfig(n_train=100, n_dev=40, n_test=60, bad_frac=bad_frac, level_weights=weights)
    one, other = build_world(config, seed), build_world(config, other_seed)
    for split in SPLITS:
        table = one[split]
        assert len(texts(table)) == len(table)  # no text twice
        assert {split_of(p) for p in table["prompt"]} <= {split}
        for rest in set(SPLITS) - {split}:
            assert not texts(table) & (texts(one[rest]) | texts(other[rest]))  # not even those of another seed


def test_tables_are_valid_and_complete(world: dict[str, pd.DataFrame]):
    assert tuple(world) == SPLITS
    for split, n in (("train", 2400), ("dev", 240), ("test", 480)):
        pd.testing.assert_frame_equal(PROMPTS.check(world[split]), world[split])
        assert len(world[split]) == n
        assert list(world[split]["prompt_id"]) == [
            prompt_id(p, a) for p, a in zip(world[split]["prompt"], world[split]["answer"], strict=True)
        ]
        assert set(world[split]["topic"]) == set(TOPICS)
        assert set(world[split]["level"]) == set(LEVELS)


def test_the_stated_share_is_bad_in_train_only(world: dict[str, pd.DataFrame]):
    shares = world["train"]["truth"].value_counts()
    assert shares["clean"] == 1920
    assert all(shares[kind] == 120 for kind in KINDS)
    assert set(world["dev"]["truth"]) == set(world["test"]["truth"]) == {"clean"}
    bad = world["train"]["truth"].to_numpy() != "clean"
    assert 0.1 < bad[:1200].mean() < 0.3  # spread over the table, not at one end


@pytest.mark.parametrize(("bad_frac", "n_bad"), [(0.0, 0), (0.5, 150), (1.0, 300)])
def test_bad_frac_is_met(bad_frac: float, n_bad: int):
    train = build_world(SMALL.model_copy(update={"bad_frac": bad_frac}), 3)["train"]
    assert (train["truth"] != "clean").sum() == n_bad


def test_truth_is_true(world: dict[str, pd.DataFrame]):
    for row in pd.concat(world.values()).itertuples():
        assert (solve(row.prompt) == row.answer) == (row.truth == "clean"), row


def test_held_out_splits_go_evenly_over_the_cells_whatever_the_weights():
    config = TaskWorldConfig(n_train=100, n_dev=0, n_test=450, level_weights=(1.0, 0.0, 0.0, 0.0, 0.0))
    world = build_world(config, 1)
    assert set(world["train"]["level"]) == {1.0}
    assert len(world["dev"]) == 0
    cells = world["test"].groupby(["topic", "level"]).size()
    assert len(cells) == len(TOPICS) * len(LEVELS)
    assert (cells >= 9).sum() >= 41  # 10 each, but where the cell has fewer different prompts
    assert cells.max() <= 12


def digest(tables: dict[str, pd.DataFrame]) -> str:
    return hashlib.sha256("".join(t.to_json() for t in tables.values()).encode()).hexdigest()


def test_same_seed_same_bytes_in_another_process():
    code = (
        "import hashlib; from saerl_core.config.run import TaskWorldConfig;"
        "from saerl_core.world.splits import build_world;"
        "t = build_world(TaskWorldConfig(n_train=300, n_dev=60, n_test=90), 7);"
        "print(hashlib.sha256(''.join(x.to_json() for x in t.values()).encode()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "99"}
    )
    assert other.stdout.strip() == digest(build_world(SMALL, 7))
    assert digest(build_world(SMALL, 7)) != digest(build_world(SMALL, 8))


def test_more_prompts_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(splits, "_TRIES", 5)
    monkeypatch.setattr(splits, "_ROUNDS", 9)
    config = TaskWorldConfig(n_train=20_000, n_dev=0, n_test=1, level_weights=(1.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(ConfigError, match=r"lower task_world\.n_train"):
        build_world(config, 0)


@pytest.mark.parametrize("weights", [(0.0,) * 5, (1.0, -1.0, 1.0, 1.0, 1.0), (float("nan"),) * 5])
def test_unusable_weights_are_refused(weights: tuple[float, ...]):
    with pytest.raises(ConfigError, match="level_weights"):
        build_world(SMALL.model_copy(update={"level_weights": weights}), 0)


def test_a_prompt_id_knows_text_and_answer():
    assert prompt_id("a  b\n", " c") == prompt_id("a b", "c")
    assert prompt_id("e\u0301", "1") == prompt_id("\u00e9", "1")  # NFC
    assert len({prompt_id("a b", "c"), prompt_id("a", "b c"), prompt_id("A b", "c"), prompt_id("a b.", "c")}) == 4
    assert len(prompt_id("", "")) == 16
    assert int(prompt_id("x", "y"), 16) >= 0
