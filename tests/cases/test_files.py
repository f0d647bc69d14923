"""Files as people have them, a layout or a fault each, made here in the shape that their cards describe."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saerl_core.config.run import BenchmarkConfig, PromptsConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.prompts.benchmarks import load_benchmarks
from saerl_core.prompts.load import load_prompts
from saerl_core.prompts.preview import preview
from saerl_core.records import PromptSet

ASKED = "A tram holds 40 people and 15 get off. How many are left in it?"
USER = {"role": "user", "content": ASKED}
LETTERS = ["A. 15", "B. 25", "C. 40"]
WITH_OPTIONS = f"{ASKED}\nA. 15\nB. 25\nC. 40"

# name of the layout -> one row, and what it must read: prompt, answer, and others by column of the table
LAYOUTS: dict[str, tuple[Any, dict[str, object]]] = {
    "prompt and answer": ({"prompt": ASKED, "answer": "25"}, {}),
    "Open-Reasoner-Zero": (
        [{"from": "human", "value": ASKED}, {"from": "assistant", "ground_truth": {"value": "25"}}],
        {},
    ),
    "conversation": ([USER, {"role": "assistant", "content": r"40-15 is \boxed{25}."}], {}),
    "Skywork-OR1": (
        {
            "data_source": "train-math",
            "prompt": [USER],
            "ability": "math",
            "reward_model": {"ground_truth": '["25"]', "style": "rule"},
            "extra_info": {"index": 1, "model_difficulty": {"DeepSeek-R1-Distill-Qwen-1.5B": 3}},
        },
        {"topic": "train-math"},
    ),
    "verl": (
        {
            "data_source": "math_dapo",
            "prompt": [USER],
            "ability": "MATH",
            "reward_model": {"ground_truth": "25", "style": "rule-lighteval/MATH_v2"},
            "extra_info": {"index": "7"},
        },
        {"topic": "MATH"},
    ),
    "NuminaMath-1.5": (
        {"problem": ASKED, "solution": "40-15=25", "answer": "25", "problem_type": "Algebra", "question_type": "MCQ"},
        {"topic": "Algebra"},
    ),
    "Big-Math": (
        {"problem": ASKED, "answer": "25", "source": "orca", "domain": ["Arithmetic"], "llama8b_solve_rate": 0.75},
        {"topic": "Arithmetic", "known_pass_rate": 0.75},
    ),
    "DeepMath-103K": (
        {"question": ASKED, "final_answer": "25", "difficulty": 4.5, "topic": "Arithmetic", "r1_solution_1": "25"},
        {"topic": "Arithmetic", "level": 4.5},
    ),
    "MATH-500": (
        {"problem": ASKED, "solution": "25", "answer": "25", "subject": "Prealgebra", "level": 2, "unique_id": "x"},
        {"topic": "Prealgebra", "level": 2.0},
    ),
    "MATH": (
        {"problem": ASKED, "level": "Level 3", "type": "Prealgebra", "solution": r"It is $\boxed{25}$."},
        {"topic": "Prealgebra", "level": 3.0},
    ),
    "GSM8K": ({"question": ASKED, "answer": "40 - 15 = <<40-15=25>>25\n#### 25"}, {}),
    "ARC": (
        {"question": ASKED, "choices": {"text": ["15", "25", "40"], "label": ["A", "B", "C"]}, "answerKey": "B"},
        {"prompt": WITH_OPTIONS, "answer": "B"},
    ),
    "MMLU": (
        {"question": ASKED, "subject": "arithmetic", "choices": ["15", "25", "40"], "answer": "B"},
        {"prompt": WITH_OPTIONS, "answer": "B", "topic": "arithmetic"},
    ),
    "AQuA": (
        {"question": ASKED, "options": ["A)15", "B)25", "C)40"], "correct": "B", "rationale": "40-15"},
        {"prompt": f"{ASKED}\nA)15\nB)25\nC)40", "answer": "B"},
    ),
    "SVAMP": (
        {
            "Body": "A tram holds 40 people and 15 get off.",
            "Question": "How many are left in it?",
            "Answer": 25.0,
            "Type": "Subtraction",
        },
        {"topic": "Subtraction"},
    ),
    "body and question": (
        {"body": "A tram holds 40 people and 15 get off.", "question": "How many are left in it?", "answer": "25"},
        {},
    ),
    "OlympiadBench": ({"question": ASKED, "final_answer": ["25"], "subfield": "Algebra"}, {"topic": "Algebra"}),
    "messages and ground_truth": ({"messages": [USER], "ground_truth": "25", "dataset": "gsm8k"}, {}),
    "Problem and Answer": ({"ID": "1", "Problem": ASKED, "Solution": "40-15", "Answer": 25}, {}),
    "context and question": (
        {"context": "A tram holds 40 people and 15 get off.", "question": "How many are left in it?", "answer": "25"},
        {"prompt": "A tram holds 40 people and 15 get off.\n\nHow many are left in it?"},
    ),
    "query and response": ({"query": ASKED, "response": "40-15=25. The answer is: 25"}, {}),
    "prompt with options": (
        {"prompt": ASKED, "options": LETTERS, "answer": "B"},
        {"prompt": WITH_OPTIONS, "answer": "B"},
    ),
    "problem and answer": ({"problem": ASKED, "answer": "25", "solution": "a long one"}, {}),  # DeepScaleR
    "input and label": ({"input": ASKED, "label": "25"}, {}),  # OpenRLHF
    "TRL messages": ({"messages": [USER, {"role": "assistant", "content": "so\n#### 25"}]}, {}),
    "ShareGPT": (
        {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": "<answer>25</answer>"}]},
        {},
    ),
    "prompt and completion": ({"prompt": [USER], "completion": [{"role": "assistant", "content": "25"}]}, {}),
    "problem and solution": ({"problem": ASKED, "solution": r"$40-15=\boxed{25}$"}, {}),
}


def write(path: Path, rows: list[Any]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def load(path: Path, **settings: object) -> PromptSet:
    return load_prompts(PromptsConfig.model_validate({"source": "file", "path": str(path), **settings}), seed=0)


def check_row(found: PromptSet, expected: dict[str, object]) -> None:
    row = found.train.iloc[0]
    for name, value in {"prompt": ASKED, "answer": "25", "usable": True, **expected}.items():
        assert row[name] == value, name


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_recognised_and_read(tmp_path: Path, name: str, suffix: str) -> None:
    row, expected = LAYOUTS[name]
    if suffix == ".parquet" and not isinstance(row, dict):
        pytest.skip("a parquet file has columns")
    path = write(tmp_path / f"pool{suffix}", [row])
    found = load(path)
    check_row(found, expected)
    seen = preview(str(path), PromptsConfig())
    assert seen.pool.layout.name == name
    if name != "prompt and answer":
        assert any(f"layout '{name}'" in note for note in found.report.notes)


@pytest.mark.parametrize("name", ["verl", "GSM8K", "MMLU", "TRL messages"])
def test_benchmarks_and_evaluation_files_are_read_in_the_same_layouts(tmp_path: Path, name: str) -> None:
    row, expected = LAYOUTS[name]
    path = str(write(tmp_path / "eval.jsonl", [row]))
    table = load_benchmarks([BenchmarkConfig(name="mine", path=path)], 4000).table
    prompt = expected.get("prompt", ASKED)
    assert (table["prompt"].item(), table["answer"].item()) == (prompt, expected.get("answer", "25"))
    pool = write(tmp_path / "pool.jsonl", [{"prompt": prompt, "answer": "1"}, {"prompt": "x" * 40, "answer": "2"}])
    for setting in ({"decontaminate_against": [path]}, {"eval_path": path}):
        assert load(pool, **setting).train["flags"].str.contains("contaminated").tolist() == [True, False]


def test_what_a_person_names_comes_before_any_layout(tmp_path: Path) -> None:
    row = {
        "prompt": "not this one, by any means",
        "answer": "0",
        "body": "There are 3 cats.",
        "ask": "How many legs?",
        "deep": {"er": [{"gold": "12"}]},
    }
    path = write(tmp_path / "pool.jsonl", [row])
    found = load(path, columns={"prompt": "{body} {ask}", "answer": "deep.er.0.gold"}).train.iloc[0]
    assert (found["prompt"], found["answer"]) == ("There are 3 cats. How many legs?", "12")


def test_a_template_needs_all_its_columns(tmp_path: Path) -> None:
    rows = [{"a": "There are 3 cats here.", "b": "How many legs?", "answer": "12"}, {"a": "Lost half", "answer": "1"}]
    found = load(write(tmp_path / "pool.jsonl", rows), columns={"prompt": "{a} {b}"})
    assert len(found.train) == 1
    assert found.issues["reason"].tolist() == ["missing_prompt"]
    with pytest.raises(DataError, match=r"no row of 'pool.jsonl' has all columns of the template '\{a\} \{c\}'"):
        load(tmp_path / "pool.jsonl", columns={"prompt": "{a} {c}"})


def test_the_answer_behind_a_marker(tmp_path: Path) -> None:
    rows = [{"q": ASKED, "a": "so\nA: 25"}, {"q": ASKED + " Why?", "a": "nothing here"}]
    found = load(write(tmp_path / "p.jsonl", rows), columns={"prompt": "q", "answer": "a"}, answer_after="A:")
    assert found.train["answer"].tolist() == ["25"]
    assert found.issues["reason"].tolist() == ["no_answer_marker"]


@pytest.mark.parametrize(
    ("values", "flag", "usable"),
    [
        ({"answer": "Proof"}, "no_answer", False),
        ({"answer": r"\text{not found}"}, "no_answer", False),
        ({"answer": "N/A"}, "no_answer", False),
        ({"answer": "."}, "no_answer", False),
        ({"answer": " \u2014 "}, "no_answer", False),
        ({"answer": "nano"}, "no_answer", None),  # a word
        ({"answer": "-1"}, "no_answer", None),
        ({"answer": "['25', '25.0']"}, "list_answer", False),
        ({"answer": "['25']"}, "unwrapped_answer", True),
        ({"answer": "[1, 2]"}, "list_answer", None),  # an answer itself
        ({"prompt": str([USER])}, "unwrapped_prompt", True),
        ({"prompt": json.dumps([USER])}, "unwrapped_prompt", True),
        ({"prompt": [{"role": "system", "content": "Be brief."}, USER]}, "system_turn", True),
        ({"prompt": [USER, {"role": "assistant", "content": "Hm."}, USER]}, "earlier_turns", True),
        (
            {"prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": ASKED}]}]},
            "missing_image",
            False,
        ),
        ({"prompt": ASKED + "<|im_end|>"}, "special_token", False),
        ({"prompt": ASKED + " </s> "}, "special_token", False),
        ({"answer": "B"}, "letter_answer", True),
        ({"answer": "B", "prompt": "Which point, A or B, is nearer to the origin of them?"}, "letter_answer", None),
        ({"answer": "25 (people)"}, "answer_unit", True),
        ({"answer": "25 people"}, "answer_unit", True),
        ({"answer": "x + 25"}, "answer_unit", None),
    ],
)
def test_flags(tmp_path: Path, values: dict[str, object], flag: str, usable: bool | None) -> None:
    rows = [{"prompt": ASKED, "answer": "25", **values}, {"prompt": "a row that keeps the pool alive", "answer": "1"}]
    row = load(write(tmp_path / "pool.jsonl", rows)).train.iloc[0]
    assert (flag in row["flags"].split(",")) is (usable is not None)
    if usable is not None:
        assert row["usable"] == usable


def test_a_column_that_a_layout_names_beside_prompt_and_answer_may_be_absent(tmp_path: Path) -> None:
    rows = [{"prompt": [USER], "reward_model": {"ground_truth": "25"}}, {"prompt": [USER], "reward_model": None}]
    check_row(load(write(tmp_path / "pool.jsonl", rows)), {"topic": None})
    with pytest.raises(DataError, match=r"no column 'ability' \(prompts.columns.topic\)"):
        load(tmp_path / "pool.jsonl", columns={"topic": "ability"})


def test_a_first_row_without_a_value_does_not_hide_the_layout(tmp_path: Path) -> None:
    rows = [{"question": "unanswered", "final_answer": None, "difficulty": 3}, {**LAYOUTS["DeepMath-103K"][0]}]
    check_row(load(write(tmp_path / "pool.jsonl", rows)), {"level": 4.5})


@pytest.mark.parametrize(
    ("row", "prompt", "answer"),
    [
        ({"question": ASKED, "choices": ["15", "25", "40"], "answer": 1}, WITH_OPTIONS, "B"),  # an index from 0
        ({"question": ASKED, "choices": '["15", "25", "40"]', "answer": "B"}, WITH_OPTIONS, "B"),
        (
            {"question": ASKED, "options": [{"key": "A", "value": "15"}, {"key": "B", "value": "25"}], "answer": "B"},
            f"{ASKED}\nA. 15\nB. 25",
            "B",
        ),
        (
            {"question": ASKED, "choices": ["15", "25", "40"], "answer": "B"},
            WITH_OPTIONS,
            "B",
        ),  # MMLU without a subject
        ({"prompt": [ASKED], "answer": {"value": "25"}}, ASKED, "25"),
        ({"prompt": USER, "answer": "25"}, ASKED, "25"),
        ({"question": ASKED, "answer": "40-15\n#### 25\nThe end."}, ASKED, "25"),
        ({"prompt": [USER], "reward_model": '{"ground_truth": "25"}'}, ASKED, "25"),
    ],
)
def test_other_shapes_of_the_same(tmp_path: Path, row: dict[str, object], prompt: str, answer: str) -> None:
    found = load(write(tmp_path / "pool.jsonl", [row])).train.iloc[0]
    assert (found["prompt"], found["answer"]) == (prompt, answer)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": ASKED, "options": ["15", "25", "40"], "answer": 1}, "unsupported_answer"),  # from 0 or from 1?
        ({"problem": ASKED, "solution": "It is obvious that nobody can know this."}, "no_answer_marker"),
        (
            {"prompt": "[{'role': 'user', 'content': 'x'} {'role': 'assistant', 'content': 'y'}]", "answer": "1"},
            "non_text_prompt",
        ),
    ],
)
def test_what_cannot_be_read_is_rejected(tmp_path: Path, row: dict[str, object], reason: str) -> None:
    found = preview(str(write(tmp_path / "pool.jsonl", [row, {**row, **OTHER.get(reason, {})}])), PromptsConfig())
    assert [issue.reason for issue in found.pool.rejected] == [reason]


OTHER: dict[str, dict[str, object]] = {
    "unsupported_answer": {"answer": "B"},
    "no_answer_marker": {"solution": "25"},
    "non_text_prompt": {"prompt": ASKED},
}


def test_numbers_of_32_bits_keep_their_digits(tmp_path: Path) -> None:
    table = pa.table({"prompt": [ASKED], "answer": pa.array([0.1], pa.float32())})
    pq.write_table(table, tmp_path / "pool.parquet")
    assert load(tmp_path / "pool.parquet").train["answer"].item() == "0.1"


def test_a_system_turn_stands_in_front_of_the_question(tmp_path: Path) -> None:
    row = {"prompt": [{"role": "system", "content": "Be brief."}, USER], "answer": "25"}
    assert load(write(tmp_path / "pool.jsonl", [row])).train["prompt"].item() == f"Be brief.\n\n{ASKED}"


def test_options_that_a_mapping_leaves_out_make_a_row_unusable_and_say_how_to_take_them(tmp_path: Path) -> None:
    path = write(tmp_path / "pool.jsonl", [{"problem": ASKED, "options": LETTERS, "answer": "B"}])
    with pytest.raises(DataError, match=r"1 choice_without_options\); line 1: the options .* stand in 'options'"):
        load(path, columns={"prompt": "problem"})
    assert load(path, columns={"prompt": "{problem}\n{options}"}).train["prompt"].item() == WITH_OPTIONS


def test_class_labels_are_names(tmp_path: Path) -> None:
    feature = {"names": ["A", "B", "C"], "_type": "ClassLabel"}
    info = {"info": {"features": {"answer": feature, "topic": {"names": ["odd", "even"], "_type": "ClassLabel"}}}}
    table = pa.Table.from_pylist([{"prompt": WITH_OPTIONS, "answer": 1, "topic": 0}])
    pq.write_table(table.replace_schema_metadata({b"huggingface": json.dumps(info).encode()}), tmp_path / "p.parquet")
    row = load(tmp_path / "p.parquet").train.iloc[0]
    assert (row["answer"], row["topic"]) == ("B", "odd")


def test_folders_and_files_of_the_datasets_library(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"prompt": datasets.Value("string"), "answer": datasets.ClassLabel(names=["A", "B", "C"])}
    )
    data = datasets.Dataset.from_list([{"prompt": WITH_OPTIONS, "answer": 1}], features=features)
    data.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(tmp_path / "several")
    for path in (tmp_path / "one", tmp_path / "several", next((tmp_path / "one").glob("*.arrow"))):
        assert load(path).train["answer"].tolist() == ["B"]
    with pytest.raises(ConfigError, match=r"dataset_split is 'dev', but .* has the splits \['train', 'test'\]"):
        load(tmp_path / "several", dataset_split="dev")
    data.to_parquet(tmp_path / "hub" / "data.parquet")
    found = load_prompts(PromptsConfig(source="hub", dataset=str(tmp_path / "hub")), seed=0)
    assert found.train["answer"].tolist() == ["B"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("two.csv", "prompt,answer,answer\nx,1,2\n", "several columns named 'answer'"),
        ("two.jsonl", '{"prompt": "x", "answer": "1", "answer": "2"}\n', "the key 'answer' stands twice"),
        ("tab.csv", "prompt\tanswer\nx\t1\n", r"separated by a tab \('\\t'\)"),
        ("old.jsonl", '{"prompt":"x","answer":"1"}\r{"prompt":"y","answer":"2"}\r', "end with CR only"),
        ("lfs.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "git lfs pull"),
        ("cut.json", '[{"prompt": "x", "answer": "1"},\n {"prompt": "y"', "begins as a JSON array, but is none"),
    ],
)
def test_faults_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_bytes(content.encode())
    with pytest.raises(DataError, match=message):
        load(tmp_path / name)


def test_two_columns_of_one_name_in_parquet(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array(["1"]), pa.array(["2"])], ["prompt", "answer", "answer"])
    pq.write_table(table, tmp_path / "two.parquet")
    with pytest.raises(DataError, match="several columns named 'answer'"):
        load(tmp_path / "two.parquet")


def test_every_kind_of_unusable_row_has_a_note_and_a_shared_passage_is_told_once(tmp_path: Path) -> None:
    template = "Remember to write the result as \x0crac{a}{b} in your answer. "
    rows = [{"prompt": f"{template}What is {i} plus {i}?", "answer": str(2 * i)} for i in range(40)]
    rows += [{"prompt": f"Prove this statement number {i}, please.", "answer": "proof"} for i in range(3)]
    rows += [{"prompt": f"What is {i} minus 1, all in all?", "answer": str(i - 1)} for i in range(60)]
    path = write(tmp_path / "pool.jsonl", rows)
    notes = " ".join(load(path).report.notes)
    assert "because of 'swallowed_latex': 40 of 103" in notes
    assert "stands in 40 of them" in notes
    assert "because of 'no_answer': 3 of 103" in notes
    kept = load(path, keep_flags=["swallowed_latex"])
    assert int(kept.train["usable"].sum()) == 100
    with pytest.raises(ValueError, match="'duplicate' cannot be kept"):
        load(path, keep_flags=["duplicate"])
    assert "Rows used in spite of 'swallowed_latex' (prompts.keep_flags): 40." in kept.report.notes


def test_a_blank_question_behind_a_system_turn_is_none(tmp_path: Path) -> None:
    blank = {"role": "user", "content": " "}
    system, reply = {"role": "system", "content": "You are a tutor."}, {"role": "assistant", "content": "so\n#### 25"}
    rows = [{"messages": [system, turn, reply]} for turn in (USER, blank)]
    found = preview(str(write(tmp_path / "pool.jsonl", rows)), PromptsConfig())
    assert [issue.reason for issue in found.pool.rejected] == ["empty_prompt"]
