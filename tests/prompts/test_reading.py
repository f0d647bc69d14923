"""Files as they come: every row is either in the pool or listed with its line."""

import csv
import gzip
import io
import json
import os

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saerl_core.config.run import PromptsConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.prompts.load import load_prompts
from saerl_core.prompts.read import existing_file, read_rows
from saerl_core.prompts.rows import Issue
from tests.prompts.files import issues, load, row, write_jsonl


def test_plain_and_gzipped_lines_give_the_same_table(tmp_path):
    rows = [row(i, topic="sum", level=i, pass_rate=0.5) for i in range(1, 6)]
    plain = load(write_jsonl(tmp_path / "pool.jsonl", rows)).train
    zipped = load(write_jsonl(tmp_path / "pool.jsonl.gz", rows)).train
    pd.testing.assert_frame_equal(plain.drop(columns="source"), zipped.drop(columns="source"))
    assert list(plain["prompt"]) == [r["prompt"] for r in rows]  # file order
    assert list(plain["level"]) == [1, 2, 3, 4, 5]
    assert set(plain["known_pass_rate"]) == {0.5}
    assert plain["usable"].all()
    assert set(plain["flags"]) == {""}


def test_source_and_licence_travel(tmp_path):
    rows = [
        row(1, source="MATH", license="mit"),
        row(2, source=["a", "b\nc", 3], license=" "),
        row(3, source={"url": "x"}, licence="cc-by-4.0"),
        row(4, license=None),
    ]
    path = write_jsonl(tmp_path / "pool.jsonl", rows)
    train = load(path).train
    assert list(train["source"]) == ["MATH", "a, b c", "pool.jsonl", "pool.jsonl"]
    assert list(train["licence"]) == ["mit", None, "cc-by-4.0", None]
    assert list(load(path, licence="odc-by").train["licence"]) == ["mit", "odc-by", "cc-by-4.0", "odc-by"]
    other = load(path, columns={"source": "answer", "licence": "source"}).train
    assert list(other["source"]) == ["2", "4", "6", "8"]
    assert list(other["licence"]) == ["MATH", "a, b c", None, None]


def test_built_in_prompts_have_the_licence_of_the_setting():
    world = PromptsConfig(task_world={"n_train": 20, "n_dev": 0, "n_test": 10}, licence="mit")
    assert set(load_prompts(world, seed=0).train["licence"]) == {"mit"}
    assert load_prompts(world.model_copy(update={"licence": None}), seed=0).train["licence"].isna().all()


def test_every_unreadable_line_is_listed_with_its_number(tmp_path):
    path = tmp_path / "pool.jsonl"
    good = json.dumps(row(1)).encode()
    lines = [
        good,  # 1
        b'{"prompt": "half a row", ',  # 2
        b"",  # 3
        b'{"prompt": "caf\xe9 in Latin-1, not in UTF-8", "answer": "1"}',  # 4
        b"[1, 2]",  # 5
        b'{"prompt": "What is one and one, please?", "answer": ' + b"[" * 100_000,  # 6: too deep for the parser
        b'{"prompt": "What is a very long number?", "answer": ' + b"1" * 5000 + b"}",  # 7: beyond the digit limit
        json.dumps(row(2)).encode(),  # 8
        good[:-9],  # 9: no newline, cut
    ]
    path.write_bytes(b"\n".join(lines))
    out = load(path)
    assert issues(out) == {
        (2, "unreadable_json", True),
        (3, "blank_line", True),
        (4, "wrong_encoding", True),
        (5, "unreadable_json", True),
        (6, "unreadable_json", True),
        (7, "unreadable_json", True),
        (9, "truncated_row", True),
    }
    assert len(out.train) == 2
    assert out.report.counts["n_rows"] == 9 == len(out.train) + out.report.counts["n_rejected"]
    assert "byte 15 " in out.issues.set_index("line").loc[4, "detail"]
    assert any("truncated at line 9" in note for note in out.report.notes)


def test_whole_last_row_without_a_newline_is_no_issue(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text(json.dumps(row(1)))
    assert issues(load(path)) == set()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    separator=st.sampled_from("\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r"),
)
def test_no_character_inside_a_field_splits_a_line(tmp_path, before, separator):
    prompt = f"A prompt of some length: {before}{separator}and what stands after the separator"
    # not escaped: JSON allows U+2028, U+2029 and U+0085 as they are; the others have to be escaped
    path = write_jsonl(tmp_path / "pool.jsonl", [row(1), row(2, prompt=prompt), row(3)])
    out = load(path)
    assert len(out.train) == out.report.counts["n_rows"] == 3
    assert out.train["prompt"].iloc[1] == prompt
    if separator in "\u2028\u2029\x85":
        assert (2, "line_separator", False) in issues(out)


_ROWS = [row(i, topic="x" * (i % 7)) for i in range(1, 40)]
_ZIPPED = gzip.compress("".join(json.dumps(r) + "\n" for r in _ROWS).encode())
_GZIP_HEADER = _ZIPPED[:2]  # with less nothing says that this is gzip


def test_gzip_stream_cut_anywhere_never_gives_a_short_set_silently(tmp_path):
    path = tmp_path / "pool.jsonl.gz"
    for n_bytes in range(len(_GZIP_HEADER), len(_ZIPPED)):
        path.write_bytes(_ZIPPED[:n_bytes])
        *rows, last = read_rows(path, "jsonl")
        assert isinstance(last, Issue)
        assert (last.line, last.reason) == (len(rows) + 1, "truncated_gzip")
        assert [r.values for r in rows] == _ROWS[: len(rows)]


def test_cut_gzip_is_noted_in_the_report_and_refused_where_no_row_is_left(tmp_path):
    path = tmp_path / "pool.jsonl.gz"
    path.write_bytes(_ZIPPED[:-20])
    out = load(path)
    assert 0 < len(out.train) < len(_ROWS)
    assert any(f"truncated at line {len(out.train) + 1}:" in note for note in out.report.notes)
    for n_bytes in (0, 1, 2, 9, 20):
        path.write_bytes(_ZIPPED[:n_bytes])
        with pytest.raises(DataError, match=r"pool\.jsonl\.gz"):
            load(path)


def test_long_cut_stream_keeps_all_of_its_whole_lines(tmp_path):
    rows = [row(i, topic=str(i * 7919 % 10007)) for i in range(1, 4001)]
    data = gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode())
    path = tmp_path / "pool.jsonl.gz"
    path.write_bytes(data[:-1])  # only the last byte of the check sum is missing
    out = load(path)
    assert len(out.train) == 4000
    assert issues(out) == {(4001, "truncated_gzip", True)}


def test_damaged_gzip_and_wrong_suffix_are_one_sentence(tmp_path):
    damaged = bytearray(_ZIPPED)
    damaged[len(damaged) // 2] ^= 0xFF
    path = tmp_path / "pool.jsonl.gz"
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="damaged gzip"):
        load(path)
    path.write_bytes(b'{"prompt": "not compressed"}')
    with pytest.raises(DataError, match=r"named \.gz but is not"):
        load(path)


def test_byte_order_marks(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_bytes(json.dumps(row(1)).encode("utf-8-sig"))
    assert issues(load(path)) == set()
    path.write_bytes(json.dumps(row(1)).encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        load(path)


def test_csv_numbers_quotes_and_huge_fields(tmp_path):
    path = tmp_path / "pool.csv"
    huge = "long " * 60_000  # the csv module stops at 131,072 characters unless told otherwise
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["question", "gold", "level", "pass_rate"])
    writer.writerow(["A question, with a comma\nand a line break?", 27, "Level 3", "0.25"])
    writer.writerow([huge, "1,234", "", ""])
    writer.writerow(["What is one and one in this file?", "2.0", "Level ?", "1.5"])
    path.write_text(text.getvalue(), newline="")
    columns = {"prompt": "question", "answer": "gold"}
    out = load(path, columns=columns, max_prompt_chars=1_000_000)
    assert list(out.train["answer"]) == ["27", "1,234", "2.0"]
    assert out.train["prompt"].iloc[1] == huge
    assert out.train["level"].iloc[0] == 3
    assert out.train["level"].iloc[1:].isna().all()
    assert out.train["known_pass_rate"].iloc[0] == 0.25
    assert issues(out) == {
        (4, "answer_thousands", False),  # physical lines: the first row takes two
        (5, "unreadable_level", False),
        (5, "unreadable_pass_rate", False),
    }


def test_broken_csv_rows_are_listed_and_the_rest_is_read(tmp_path):
    path = tmp_path / "pool.csv"
    good = row(1)["prompt"]
    path.write_bytes(
        f"prompt,answer\n{good},2\nonly one field\n\n".encode()
        + b"A caf\xe9 in Latin-1 with 3 guests,3\n"
        + b'"A stray" quote in 4 fields,4\n'
        + f"{good} Really?,2".encode()
    )
    out = load(path)
    assert {(3, "wrong_field_count", True), (4, "blank_line", True), (5, "wrong_encoding", True)} | {
        (6, "unreadable_csv", True)
    } <= issues(out)
    assert (7, "no_final_newline", False) in issues(out)
    assert out.report.counts["n_rows"] == len(out.train) + out.report.counts["n_rejected"] == 6


def test_cut_csv_names_the_row_that_was_cut(tmp_path):
    path = tmp_path / "pool.csv"
    path.write_text(f'prompt,answer\n{row(1)["prompt"]},2\n"A quote that opens,\nand never closes')
    out = load(path)
    assert issues(out) == {(3, "truncated_row", True)}
    assert "line 4" in out.issues["detail"].iloc[0]
    path.write_text(f"prompt,answer,level\n{row(1)['prompt']},2,1\n{row(2)['prompt']},4")
    assert issues(load(path)) == {(3, "truncated_row", True)}


def test_parquet_types(tmp_path):
    path = tmp_path / "pool.parquet"
    frame = pd.DataFrame([row(1, answer=27.0), row(2, answer=0.5), row(3, answer=float("nan"))])
    frame["level"] = pd.array([1, None, 3], dtype="Int64")
    frame["topic"] = pd.Categorical(["a", "b", "b"])
    frame.to_parquet(path)
    out = load(path)
    assert list(out.train["answer"]) == ["27", "0.5"]
    assert list(out.train["topic"]) == ["a", "b"]
    assert issues(out) == {
        (1, "numeric_answer", False),
        (2, "numeric_answer", False),
        (3, "missing_answer", True),
    }


def test_cut_parquet_is_one_sentence(tmp_path):
    path = tmp_path / "pool.parquet"
    pd.DataFrame([row(i) for i in range(100)]).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"pool\.parquet' is truncated or is no parquet file"):
        load(path)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("absent.jsonl", None, ConfigError, "no such file"),
        ("pool.txt", "x", ConfigError, r"cannot be told from its name.*prompts\.format"),
        ("empty.jsonl", "", DataError, "no rows"),
        ("header.csv", "prompt,answer\n", DataError, "no rows"),
        ("array.json", '[{"prompt": 1},', DataError, "begins as a JSON array, but is none as a whole"),
        (
            "names.jsonl",
            '{"title": "x", "answer": "1"}\n',
            DataError,
            r"no column 'prompt' \(prompts.columns.prompt\)",
        ),
        ("semicolon.csv", "prompt;answer\na;1\n", DataError, "separated by a semicolon"),
        ("rejected.jsonl", '{"prompt": "", "answer": ""}\n', DataError, r"all 1 rows .* rejected \(1 empty_prompt\)"),
        ("noise.jsonl", "not json\n", DataError, r"all 1 rows .* rejected \(1 unreadable_json\); the first, line 1"),
    ],
)
def test_unusable_file_is_one_sentence(tmp_path, name, content, error, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(error, match=message):
        load(path)


def test_directory_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(ConfigError, match=r"is a directory.*'hub'"):
        load(tmp_path)


def test_renamed_optional_column_must_exist(tmp_path):
    path = write_jsonl(tmp_path / "pool.jsonl", [row(1)])
    assert load(path).train["topic"].isna().all()  # the default name may be absent
    with pytest.raises(DataError, match=r"no column 'subject' \(prompts.columns.topic\)"):
        load(path, columns={"topic": "subject"})


def test_max_rows_takes_the_first_ones_and_says_so(tmp_path):
    path = write_jsonl(tmp_path / "pool.jsonl", [row(i) for i in range(1, 10)])
    out = load(path, max_rows=4)
    assert list(out.train["prompt"]) == [row(i)["prompt"] for i in range(1, 5)]
    assert any("max_rows" in note for note in out.report.notes)


@pytest.mark.parametrize(
    ("row", "rate"),
    [
        ({"pass_rate": 0.25}, 0.25),
        ({"known_pass_rate": 0.5}, 0.5),
        ({"pass_rate": 0.25, "known_pass_rate": 0.5}, 0.25),
    ],
)
def test_a_pass_rate_is_found_under_our_own_name_too(tmp_path, row, rate):
    path = tmp_path / "pool.jsonl"
    path.write_text(json.dumps({"prompt": "What is one and one?", "answer": "2", **row}))
    assert list(load(path).train["known_pass_rate"]) == [rate]


def test_rows_with_images_or_tools_are_not_read_as_if_they_had_none(tmp_path):
    rows = [
        row(1, images=["a.png"]),
        row(2, image={"bytes": "x"}),
        row(3, tools=[{"name": "f"}]),
        row(4, images=[], tools=None),
    ]
    train = load(write_jsonl(tmp_path / "pool.jsonl", rows)).train
    assert list(train["flags"]) == ["missing_image", "missing_image", "missing_tools", ""]
    assert list(train["usable"]) == [False, False, False, True]
    kept = load(tmp_path / "pool.jsonl", keep_flags=("missing_tools",)).train
    assert list(kept["usable"]) == [False, False, True, True]


def test_a_path_that_is_no_path_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path, told in (
        (str(tmp_path / "pipe.jsonl"), "no file but a device or a pipe"),
        ("x" * 5000, "File name too long"),
    ):
        with pytest.raises(ConfigError, match=told):
            existing_file("prompts.path", path)
