"""Named evaluation sets: read from files and local data-set folders, whole or with a line a rejected row."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.inputs import benchmarks_fingerprint
from saerl_core.config.run import BenchmarkConfig, EvaluationConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.prompts.benchmarks import BenchmarkSet, load_benchmarks
from saerl_core.tables import BENCHMARKS
from tests.prompts.files import row, write_jsonl


def load(*benchmarks: dict[str, object], max_prompt_chars: int = 4000) -> BenchmarkSet:
    return load_benchmarks([BenchmarkConfig(**b) for b in benchmarks], max_prompt_chars)


def test_files_stand_one_after_the_other_under_their_names(tmp_path: Path):
    one = write_jsonl(tmp_path / "one.jsonl", [row(1), row(2, topic="add", level=3)])
    two = write_jsonl(tmp_path / "two.jsonl.gz", [row(2), row(3)])
    found = load({"name": "b", "path": str(one)}, {"name": "a", "path": str(two)})
    pd.testing.assert_frame_equal(found.table, BENCHMARKS.check(found.table))
    assert list(found.table["benchmark"]) == ["b", "b", "a", "a"]
    assert list(found.table["answer"]) == ["2", "4", "4", "6"]  # the prompt that is in both stands in both
    assert found.table["usable"].all()
    assert found.table["topic"].iloc[1] == "add"
    assert found.report.values == {"n_b": 2.0, "n_a": 2.0}
    assert found.report.notes == ()


def test_no_benchmarks_are_an_empty_table():
    assert list(load().table.columns) == list(BENCHMARKS.columns)


def test_rows_that_cannot_be_used_are_told(tmp_path: Path):
    path = write_jsonl(tmp_path / "x.jsonl", [row(1), row(2, answer=None), row(1), row(3, answer="worked #### 6")])
    found = load({"name": "x", "path": str(path)})
    assert list(found.table["usable"]) == [True, False, False]
    assert found.report.values == {"n_x": 1.0}
    assert found.report.notes == (
        "Benchmark 'x': 1 of 4 rows are rejected (1 missing_answer).",
        "Benchmark 'x': 2 of 3 rows are not evaluated (flags: 1 duplicate, 1 answer_marker).",
    )
    assert {(2, "missing_answer", True), (3, "duplicate", False)} <= set(
        zip(found.issues["line"], found.issues["reason"], found.issues["rejected"], strict=True)
    )
    assert set(found.issues["file"]) == {"x"}


def test_the_answer_after_a_marker(tmp_path: Path):
    rows = [
        row(1, answer="1 + 1 = <<1+1=2>>2\n#### 2"),
        row(2, answer="first #### 3, no: #### 4 "),
        row(3, answer="6"),
        row(4, answer=8),
    ]
    path = write_jsonl(tmp_path / "x.jsonl", rows)
    found = load({"name": "x", "path": str(path), "answer_after": "####"})
    assert list(found.table["answer"]) == ["2", "4", "8"]
    assert found.table["usable"].all()
    rejected = found.issues[found.issues["rejected"]]
    assert list(zip(rejected["line"], rejected["reason"], strict=True)) == [(3, "no_answer_marker")]


def test_only_the_first_rows(tmp_path: Path):
    path = write_jsonl(tmp_path / "x.jsonl", [row(i) for i in range(1, 9)])
    assert load({"name": "x", "path": str(path), "max_rows": 3}).report.values == {"n_x": 3.0}


def test_a_prompt_that_is_too_long_is_not_evaluated(tmp_path: Path):
    path = write_jsonl(tmp_path / "x.jsonl", [row(1), row(2, prompt="Find " + "very " * 50 + "much.")])
    assert load({"name": "x", "path": str(path)}, max_prompt_chars=100).report.values == {"n_x": 1.0}


def test_a_local_folder_is_read_like_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    datasets = pytest.importorskip("datasets", reason="needs the extra 'models'")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "bench"
    folder.mkdir()
    rows = [{"question": row(i)["prompt"], "final_answer": [str(2 * i)], "image": None} for i in (1, 2)]
    pd.DataFrame(rows).to_parquet(folder / "test.parquet")
    columns = {"prompt": "question", "answer": "final_answer"}
    found = load({"name": "x", "dataset": str(folder), "columns": columns})
    assert list(found.table["answer"]) == ["2", "4"]
    with pytest.raises(DataError, match=r"no column 'answer' \(evaluation\.benchmarks\[0\]\.columns\.answer\)"):
        load({"name": "x", "dataset": str(folder), "columns": {"prompt": "question"}})
    with pytest.raises(DataError, match=r"split 'validation'.*evaluation\.benchmarks\[0\]\.path"):
        load({"name": "x", "dataset": str(folder), "columns": columns, "split": "validation"})


def test_a_hub_name_offline_is_one_sentence_with_the_way_out():
    pytest.importorskip("datasets", reason="needs the extra 'models'")
    with pytest.raises(DataError, match=r"offline; set HF_HUB_OFFLINE=0 .*evaluation\.benchmarks\[0\]\.path$") as error:
        load({"name": "x", "dataset": "no-such-owner/no-such-set"})
    assert "prompts." not in str(error.value)


def test_what_is_wrong_names_the_settings_of_the_benchmark(tmp_path: Path):
    good = {"name": "good", "path": str(write_jsonl(tmp_path / "good.jsonl", [row(1)]))}
    (tmp_path / "empty.jsonl").write_text("")
    write_jsonl(tmp_path / "named.txt", [row(1)])
    for path, error, text in (
        ("no.jsonl", ConfigError, r"evaluation\.benchmarks\[1\]\.path is '.*no\.jsonl', but there is no such file"),
        (".", ConfigError, r"which is a directory.* with evaluation\.benchmarks\[1\]\.dataset"),
        ("named.txt", ConfigError, r"cannot be told from its name; use one of .*text format\)$"),
        ("empty.jsonl", DataError, "'bad' has no rows"),
    ):
        with pytest.raises(error, match=text):
            load(good, {"name": "bad", "path": str(tmp_path / path)})


def test_the_fingerprint_sees_files_and_local_folders(tmp_path: Path):
    folder = tmp_path / "bench"
    folder.mkdir()
    files = [write_jsonl(tmp_path / "a.jsonl", [row(1)]), write_jsonl(folder / "test.jsonl", [row(2)])]
    config = EvaluationConfig(
        benchmarks=(
            BenchmarkConfig(name="a", path=str(files[0])),
            BenchmarkConfig(name="b", dataset=str(folder)),
            BenchmarkConfig(name="c", dataset="owner/name"),
        )
    )
    seen = {benchmarks_fingerprint(config)}
    for i, file in enumerate(files):
        write_jsonl(file, [row(3 + i)])
        seen.add(benchmarks_fingerprint(config))
    assert len(seen) == 3


@pytest.mark.parametrize(("name", "n"), [("gsm8k_test", 1319), ("math500", 500)])
def test_real_benchmarks_are_evaluated_whole(shared_data: Path, name: str, n: int):
    found = load({"name": name, "path": str(shared_data / f"{name}.jsonl.gz")})
    assert found.report.values == {f"n_{name}": float(n)}
    assert found.report.notes == ()
