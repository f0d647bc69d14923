"""`saerl inspect` on files as people have them."""

from pathlib import Path

import yaml
from click.testing import CliRunner

from pipelines.__main__ import main
from saerl_core.config.run import PromptsConfig
from saerl_core.prompts.load import load_prompts
from tests.cases.test_files import ASKED, LAYOUTS, USER, check_row, write


def test_inspect_asks_for_columns_that_it_cannot_guess(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("id,Task text,Soln\n1,How much is 3 plus 4?,7\n")
    done = CliRunner().invoke(main, ["inspect", str(path)])
    assert done.exit_code == 1
    assert "with --prompt COLUMN --answer COLUMN. Its columns, and what line 2 holds in them:" in done.output
    assert "\n  Task text  'How much is 3 plus 4?'\n  Soln       '7'" in done.output
    named = CliRunner().invoke(main, ["inspect", str(path), "--prompt", "Task text", "--answer", "Soln"])
    assert named.exit_code == 0, named.output
    wrong = CliRunner().invoke(main, ["inspect", str(path), "--prompt", "Task"])
    assert "'odd.csv' has no column 'Task'" in wrong.output


def test_inspect_shows_layout_rows_flags_and_a_section_that_reads_the_file_the_same_way(tmp_path: Path) -> None:
    path = write(tmp_path / "pool.jsonl", [LAYOUTS["verl"][0], {"prompt": [USER], "reward_model": {}}])
    done = CliRunner().invoke(main, ["inspect", str(path)])
    assert done.exit_code == 0, done.output
    for piece in ("layout:  verl", "'reward_model.ground_truth'", ASKED, "rejected: 1 missing_answer"):
        assert piece in done.output
    section = yaml.safe_load(done.output.partition("paste into a run file:\n")[2])["parameters"]["prompts"]
    check_row(load_prompts(PromptsConfig.model_validate(section), seed=0), {"topic": "MATH"})
    gone = CliRunner().invoke(main, ["inspect", str(tmp_path / "nothing.jsonl")])
    assert gone.exit_code == 1
    assert "no such file" in gone.output
