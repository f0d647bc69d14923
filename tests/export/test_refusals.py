"""What cannot be exported is refused in one sentence, and nothing is written over."""

import json
from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
from click.testing import CliRunner

from pipelines.commands.export import _over, export
from saerl_core import export_plan, make_plan, save_plan
from saerl_core.errors import ConfigError, DataError
from saerl_core.export.formats import FORMATS, NO_ORDER
from saerl_core.plan.realised import realised
from saerl_core.plans import FixedPlan
from saerl_core.records import PromptFormat
from saerl_core.tables import CONSUMED
from tests.export.conftest import json_lines, order_of


def refused(plan, prompts, folder, error, told, name="jsonl", **options):
    with pytest.raises(error, match=told) as caught:
        export_plan(plan, prompts, name, folder, **options)
    assert "\n" not in str(caught.value)
    return caught


@pytest.mark.parametrize("name", NO_ORDER)
def test_trainers_without_an_order_are_known_by_name(name, plan, prompts, tmp_path):
    refused(plan, prompts, tmp_path / "out", ConfigError, f"a plan cannot be exported for '{name}': .*trl, verl", name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "meant"), [("tlr", "trl"), ("VERL", "verl"), ("nemorl", "nemo-rl"), ("SkyRL", "skyrl")]
)
def test_an_unknown_name_gets_the_nearest(name, meant, plan, prompts, tmp_path):
    refused(plan, prompts, tmp_path, ConfigError, rf"'{name}' is not known \(did you mean '{meant}'\?\); .*jsonl", name)


def test_an_online_plan_has_no_order_before_training_and_one_after(prompts, tmp_path):
    plan = make_plan(prompts, "mopps", prompts_per_step=3, n_steps=2)
    told = "strategy 'mopps' chooses every batch from the rewards, .* finished run .* make_curriculum"
    refused(plan, prompts, tmp_path / "out", DataError, told)
    ids = ["p03", "p01", "p02", "p07", "p03", "p05"]
    played = pd.DataFrame({"step": [0, 0, 0, 1, 1, 1], "slot": [0, 1, 2] * 2, "prompt_id": ids})
    consumed = CONSUMED.check(played.assign(n_rollouts=4, n_correct=1, update=played["step"], is_trained=True))
    signals = pd.DataFrame({"prompt_id": prompts["prompt_id"], "cluster_id": 0, "difficulty": 0.5})
    export_plan(realised(plan, consumed, signals, signals), prompts, "jsonl", tmp_path / "out")
    assert [row["prompt_id"] for row in json_lines(tmp_path / "out" / "prompts.jsonl")] == ids
    card = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert (card["order"], card["plan_hash"], card["n_steps"]) == ("realised", plan.plan_hash, 2)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda t: t[:-1], r"step 5 of the plan holds 2 prompts in slots \[0, 1\], not one in each of slots 0 to 2"),
        (lambda t: t[t["step"] != 2], "step 2 of the plan holds 0 prompts"),
        (lambda t: t.assign(slot=t["slot"] + 1), r"in slots \[1, 2, 3\]"),
        (lambda t: t[:0], "the plan holds no step"),
    ],
)
def test_a_batch_that_is_not_full(damage, told, plan, prompts, tmp_path):
    refused(replace(plan, table=damage(plan.table)), prompts, tmp_path / "out", DataError, told)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda t: t[4:], r"4 of the 12 prompts of the plan are not among the 8 prompts given, the first is p\d\d"),
        (lambda t: t.assign(answer=[None, "", " ", *t["answer"][3:]]), "3 of the 12 planned prompts have no answer"),
        (
            lambda t: t.assign(prompt=pd.Series(["\ud800", *t["prompt"][1:]], dtype=object)),
            "1 of the 12 planned prompts have no prompt .* p00",
        ),
        (lambda t: pd.concat([t, t[3:5]]), "prompt p03 stands more than once among the prompts"),
        (lambda t: t.drop(columns="answer"), "the prompts have no column 'answer'"),
    ],
)
def test_prompts_that_do_not_go_with_the_plan(damage, told, plan, prompts, tmp_path):
    refused(plan, damage(prompts), tmp_path / "out", DataError, told)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"group_size": 1}, "group_size is 1; .* at least 2"),
        ({"prompt_format": PromptFormat(False, "Be brief.")}, "a system prompt was given without a chat template"),
    ],
)
def test_options_that_cannot_work(options, told, plan, prompts, tmp_path):
    refused(plan, prompts, tmp_path / "out", ConfigError, told, **options)


def test_a_folder_in_use_is_left_alone(plan, prompts, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    refused(plan, prompts, tmp_path, ConfigError, "is not empty; choose another one, or replace")
    refused(plan, prompts, tmp_path, ConfigError, "holds other files than an export", overwrite=True)
    (tmp_path / "plan.json").write_text('{"strategy": "vanilla"}')
    refused(plan, prompts, tmp_path, ConfigError, "holds other files than an export", overwrite=True)
    assert {p.name for p in tmp_path.iterdir()} == {"mine.txt", "plan.json"}


def test_overwriting_replaces_an_export_and_nothing_else(plan, prompts, tmp_path):
    out = tmp_path / "out"
    export_plan(plan, prompts, "trl", out)
    (out / "notes.txt").write_text("mine")
    export_plan(plan, prompts, "verl", out, overwrite=True)
    found = {p.name for p in out.iterdir()}
    assert found == {"notes.txt", "plan.json", "README.md", "saerl_plan.yaml", "train.parquet"}


def test_an_edited_card_removes_nothing_outside_the_folder(plan, prompts, tmp_path):
    out = tmp_path / "out"
    export_plan(plan, prompts, "jsonl", out)
    (tmp_path / "mine.txt").write_text("mine")
    card = json.loads((out / "plan.json").read_text())
    (out / "plan.json").write_text(json.dumps({**card, "files": ["../mine.txt", str(tmp_path / "mine.txt")]}))
    export_plan(plan, prompts, "jsonl", out, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written(plan, prompts, tmp_path):
    (tmp_path / "file").write_text("")
    told = "the plan could not be exported to .*file.*; free some space or choose another folder"
    refused(plan, prompts, tmp_path / "file", DataError, told)
    refused(plan, prompts, tmp_path / "file" / "below", DataError, told)


def test_the_order_is_that_of_steps_and_slots_not_of_the_table(plan, prompts, tmp_path):
    assert max(Counter(order_of(plan)).values()) == 2, "a prompt that is used twice stands there twice"
    shuffled = replace(plan, table=plan.table.sample(frac=1, random_state=0))
    export_plan(shuffled, prompts.sample(frac=1, random_state=1), "jsonl", tmp_path / "out")
    assert [row["prompt_id"] for row in json_lines(tmp_path / "out" / "prompts.jsonl")] == order_of(plan)


# --- the command


def call(*words):
    return CliRunner().invoke(export, [str(word) for word in words])


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_saved_plan_is_exported_with_its_prompts(kind, plan, prompts, tmp_path):
    save_plan(plan, tmp_path / "plan")
    path = tmp_path / f"prompts.{kind}"
    prompts.to_parquet(path) if kind == "parquet" else prompts.to_json(path, orient="records", lines=True)
    words = [tmp_path / "plan", "--format", "slime", "--out", tmp_path / "out", "--prompts", path]
    done = call(*words, "--chat", "--system-prompt", "Be brief.", "--group-size", 4)
    assert done.exit_code == 0, done.output
    assert "18 rows, 6 steps of 3 prompts in planned order, for slime" in done.output
    rows = json_lines(tmp_path / "out" / "prompts.jsonl")
    assert [row["metadata"]["prompt_id"] for row in rows] == order_of(plan)
    assert rows[0]["prompt"][0] == {"role": "system", "content": "Be brief."}
    assert call(*words, "--overwrite").exit_code == 0


def test_prompts_of_any_layout_that_is_recognised(tmp_path):
    rows = [{"question": f"How much is {i} plus 1?", "answer": str(i + 1)} for i in range(6)]
    plan = make_plan(rows, "vanilla", prompts_per_step=2)
    save_plan(plan, tmp_path / "plan")
    pd.DataFrame(rows).to_json(tmp_path / "mine.jsonl", orient="records", lines=True)
    done = call(tmp_path / "plan", "--format", "jsonl", "--out", tmp_path / "out", "--prompts", tmp_path / "mine.jsonl")
    assert done.exit_code == 0, done.output
    assert isinstance(plan, FixedPlan)
    assert [row["prompt_id"] for row in json_lines(tmp_path / "out" / "prompts.jsonl")] == order_of(plan)


def test_a_file_with_other_ids_of_its_own_is_read_as_any_layout(tmp_path):
    rows = [{"prompt_id": f"mine-{i}", "prompt": f"How much is {i} plus 1?", "answer": str(i + 1)} for i in range(4)]
    pd.DataFrame(rows).to_json(tmp_path / "mine.jsonl", orient="records", lines=True)
    plan = make_plan(tmp_path / "mine.jsonl", "vanilla", prompts_per_step=2)
    assert not {row["prompt_id"] for row in rows} & set(plan.table["prompt_id"])
    save_plan(plan, tmp_path / "plan")
    done = call(tmp_path / "plan", "--format", "jsonl", "--out", tmp_path / "out", "--prompts", tmp_path / "mine.jsonl")
    assert done.exit_code == 0, done.output


def test_an_option_changes_its_own_piece_of_a_runs_format():
    own = PromptFormat(True, "Be brief.", " Think.")
    assert _over(None, own) == own
    assert _over(PromptFormat(False, None, " ="), own) == PromptFormat(True, "Be brief.", " =")
    assert _over(PromptFormat(True, "Be long.", ""), own) == PromptFormat(True, "Be long.", " Think.")
    assert _over(own, None) == own


def test_the_command_says_what_is_missing(plan, tmp_path):
    save_plan(plan, tmp_path / "plan")
    (tmp_path / "broken.parquet").write_text("no parquet")
    out = ["--out", tmp_path / "out"]
    for words, told in (
        (["plan", "--format", "trl"], "name the prompts that it was made from with --prompts"),
        (["plan", "--format", "trl", "--prompts", tmp_path / "none"], "there is no such file"),
        (["plan", "--format", "trl", "--prompts", tmp_path / "broken.parquet"], "cannot be read"),
        (["plan", "--format", "tlr"], "did you mean 'trl'?"),
    ):
        done = call(tmp_path / words[0], *words[1:], *out)
        assert done.exit_code == 1
        assert told in done.output
    assert not (tmp_path / "out").exists()
    assert set(FORMATS) & set(NO_ORDER) == set()
