"""A plan on disk."""

import json

import pandas as pd
import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.build import plan_batches
from saerl_core.plan.storage import load_plan, save_plan
from tests.plan.pools import Row, make_inputs


@pytest.fixture
def saved(tmp_path):
    inputs = make_inputs([Row(f"p{i:02}", i % 2, i / 12, keep=i != 5) for i in range(12)])
    plan, _ = plan_batches(inputs, PlanConfig(strategy="saerl", prompts_per_step=3, n_steps=None), 4)
    save_plan(plan, tmp_path / "new" / "plan")
    return plan, tmp_path / "new" / "plan"


def test_a_plan_comes_back_as_it_was(saved):
    plan, folder = saved
    loaded = load_plan(folder)
    pd.testing.assert_frame_equal(loaded.table, plan.table)
    pd.testing.assert_frame_equal(loaded.decisions, plan.decisions)
    for field in ("strategy", "seed", "prompts_per_step", "plan_hash"):
        assert getattr(loaded, field) == getattr(plan, field)


def test_nothing_is_pickled(saved):
    assert sorted(f.suffix for f in saved[1].iterdir()) == [".json", ".parquet", ".parquet"]


@pytest.mark.parametrize("name", ["plan.parquet", "decisions.parquet"])
def test_an_edited_table_is_refused(saved, name):
    folder = saved[1]
    frame = pd.read_parquet(folder / name)
    frame.iloc[::-1].to_parquet(folder / name, index=False)
    with pytest.raises(DataError, match=f"{name} was changed after the plan was saved"):
        load_plan(folder)


def test_an_edited_hash_is_refused(saved):
    plan, folder = saved
    card = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(card | {"plan_hash": "0" * 64}))
    with pytest.raises(DataError, match=f"names plan 0000.*but the table is {plan.plan_hash}"):
        load_plan(folder)


@pytest.mark.parametrize("name", ["plan.json", "plan.parquet", "decisions.parquet"])
def test_a_missing_file_is_told(saved, name):
    (saved[1] / name).unlink()
    with pytest.raises(DataError, match="holds no readable plan"):
        load_plan(saved[1])


def test_a_truncated_card_is_told(saved):
    text = (saved[1] / "plan.json").read_text()
    (saved[1] / "plan.json").write_text(text[: len(text) // 2])
    with pytest.raises(DataError, match="holds no readable plan"):
        load_plan(saved[1])


def test_a_folder_that_cannot_be_written_is_told(saved, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"could not be saved in .*free some space or change the folder"):
        save_plan(saved[0], tmp_path / "file")
