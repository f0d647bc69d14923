"""What was said of a run's cost, and the run's page."""

from dataclasses import replace

import pytest

from saerl_core.advice.said import Said, keep, said_of
from saerl_core.config.load import validate
from saerl_core.report.blocks import Table, Text
from saerl_core.report.section_run import ledger
from tests.report.factory import full_run


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAERL_HOME", str(tmp_path))
    return tmp_path


def test_it_is_kept_of_exactly_one_configuration():
    one, other = validate({"seed": 1}), validate({"seed": 2})
    keep(one, Said({"train_policy": 12.5}, 2.0))
    assert said_of(one) == Said({"train_policy": 12.5}, 2.0)
    assert said_of(other) is None


@pytest.mark.parametrize("spoilt", [b"", b"{", b"[1]", b'{"seconds": 3, "per_hour": null}', b"\xff\xfe"])
def test_a_file_that_is_spoilt_says_nothing(home, spoilt):
    config = validate({})
    keep(config, Said({}))
    (file,) = (home / "costs").iterdir()
    file.write_bytes(spoilt)
    assert said_of(config) is None


def test_the_ledger_sets_what_came_out_beside_it():
    inputs = full_run(600, n_steps=12)
    took = float(inputs.costs.set_index("stage")["seconds"]["train_policy"])
    section = ledger(
        replace(inputs, said=Said({"train_policy": 2 * took, "nothing_of_the_sort": 5.0}, per_hour=3600.0))
    )
    table = next(block for block in section.blocks if isinstance(block, Table))
    told = {row[0]: row[table.columns.index("time said")] for row in table.rows}
    assert told["train_policy"]
    assert told["load_prompts"] == ""
    text = next(block.text for block in section.blocks if isinstance(block, Text))
    assert f"({took:,.2f} against {2 * took:,.2f} at the price given)." in text


def test_without_it_the_ledger_has_no_such_column():
    table = next(block for block in ledger(full_run(600, n_steps=12)).blocks if isinstance(block, Table))
    assert "time said" not in table.columns
