"""A run writes its plan for other trainers: named at its end, from the cache when nothing changed."""

import copy
import json
from pathlib import Path

import pytest

from pipelines.planned import planned_run
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]


@pytest.fixture
def run(local_stack):
    from pipelines.training import saerl_pipeline

    def start(strategy, formats):
        parameters = {**copy.deepcopy(SMALL), "export": formats}
        parameters["plan"]["strategy"] = strategy
        return saerl_pipeline(**parameters)

    return start


def _rows(folder):
    return [row["prompt_id"] for row in json.loads((folder / "plan.json").read_text())["rows"]]


def test_a_static_plan_is_exported_and_named(run, saerl_home, caplog):
    first = run("vanilla", ["verl", "trl"])
    folder = saerl_home / "exports" / first.name
    order = planned_run(first.name).plan.table.sort_values(["step", "slot"])["prompt_id"]
    for name in ("verl", "trl"):
        assert _rows(folder / name) == list(order)
        assert f"Plan for {name}: {folder / name}" in caplog.text
        assert str(folder / name) in (saerl_home / "report.html").read_text()
    assert (folder / "trl" / "train.py").is_file()
    again = run("vanilla", ["verl", "trl"])
    assert str(again.steps["export_plan"].status) == "cached"
    kept = saerl_home / "exports" / again.name
    assert {p.relative_to(kept) for p in kept.rglob("*")} == {p.relative_to(folder) for p in folder.rglob("*")}
    more = run("vanilla", ["hub"])
    done = {name for name, step in more.steps.items() if str(step.status) == "completed"}
    assert done == {"export_plan", "write_report"}
    card = (saerl_home / "exports" / more.name / "hub" / "README.md").read_text()
    assert "The pool was compared with 80 evaluation items" in card


def test_an_online_strategy_exports_what_was_trained(run, saerl_home):
    done = run("adaptive", ["jsonl"])
    folder = saerl_home / "exports" / done.name / "jsonl"
    consumed = done.steps["train_policy"].outputs["consumed"][0].load()
    assert json.loads((folder / "plan.json").read_text())["order"] == "realised"
    assert _rows(folder) == list(consumed.sort_values(["step", "slot"])["prompt_id"])
    stored = done.steps["export_plan"].outputs["exported"][0]
    assert (Path(stored.uri) / "jsonl" / "prompts.jsonl").read_bytes() == (folder / "prompts.jsonl").read_bytes()
