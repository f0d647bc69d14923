"""`validate` with data: what cannot work is refused before anything is computed, what it falls back on is said."""

import json

import pytest

from pipelines.look import look_at_files, look_at_pool, strategy_told
from saerl_core.config.load import validate
from saerl_core.errors import ConfigError, DataError

TEXT = {
    "policy": {"source": "text"},
    "training": {"enabled": False},
    "evaluation": {"enabled": False},
}


@pytest.fixture
def config_of(tmp_path):
    def make(rows, **sections):
        path = tmp_path / "pool.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        prompts = {"source": "file", "path": str(path), **sections.pop("prompts", {})}
        return validate({**TEXT, "prompts": prompts, **sections})

    return make


def rows(n, **more):
    return [{"prompt": f"How many are {i} and {i + 3} together?", "answer": str(2 * i + 3), **more} for i in range(n)]


@pytest.mark.parametrize(
    ("more", "label", "said"),
    [
        ({}, "auto", "difficulty comes from the label 'likelihood'"),
        ({}, "level", "difficulty comes from the label 'likelihood': no usable row has a level"),
        ({"level": 2}, "auto", "difficulty comes from the label 'level'"),
        ({"level": 2, "pass_rate": 0.25}, "auto", "difficulty comes from the label 'known_pass_rate'"),
    ],
)
def test_the_label_that_the_data_allow_is_said(config_of, more, label, said):
    found = look_at_pool(config_of(rows(12, **more), difficulty={"label": label}))
    assert found[0].startswith("12 of the first 12 rows")
    assert found[1] == said


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"prompts": {"eval_path": "/nowhere/held.jsonl"}},
            "prompts.eval_path is '/nowhere/held.jsonl', but there is no",
        ),
        ({"prompts": {"decontaminate_against": ["/nowhere/x.csv"]}}, "decontaminate_against is '/nowhere/x.csv', but"),
        ({"benchmark": "/nowhere/b.jsonl"}, r"evaluation.benchmarks\[0\].path is '/nowhere/b.jsonl', but there is no"),
        ({"prompts": {"eval_path": "{empty}"}}, "has no rows"),
        ({"benchmark": "{empty}"}, "has no rows"),
    ],
)
def test_files_beside_the_pool_are_looked_at(config_of, tmp_path, sections, message):
    (tmp_path / "empty.jsonl").write_text("")
    text = json.dumps(sections).replace("{empty}", str(tmp_path / "empty.jsonl"))
    sections = json.loads(text)
    if "benchmark" in sections:
        answers = {"policy": {"source": "pretrained", "model": "org/name"}, "grading": {"kind": "exact"}}
        evaluated = {"benchmarks": [{"name": "b", "path": sections.pop("benchmark")}], "max_completion_tokens": 9}
        sections |= {**answers, "evaluation": evaluated, "difficulty": {"label": "none"}}
    with pytest.raises((ConfigError, DataError), match=message):
        look_at_files(config_of(rows(12), **sections))


def test_files_beside_the_pool_that_are_fine(config_of, tmp_path):
    held = tmp_path / "held.csv"
    held.write_text("prompt,answer\nHow many are 2 and 2 together?,4\n")
    assert (
        look_at_files(config_of(rows(12), prompts={"eval_path": str(held), "decontaminate_against": [str(held)]}))
        is None
    )


def test_a_strategy_that_nobody_named_is_told_where_it_is_not_the_usual_one(config_of):
    told = "the plan is made by strategy 'saerl': nothing is trained, so there are no rewards to learn from"
    assert strategy_told(config_of(rows(12))) == [told]
    assert strategy_told(config_of(rows(12), plan={"strategy": "vanilla"})) == []
    assert strategy_told(validate({})) == []


def test_what_is_there_needs_no_word(config_of):
    assert len(look_at_pool(config_of(rows(12, level=3), difficulty={"label": "level"}))) == 1


@pytest.mark.parametrize(
    ("content", "sections", "message"),
    [
        ([{"prompt": "How many?", "answer": ""}] * 3, {}, r"pool|rows"),
        (
            rows(12, good=None),
            {"quality": {"labels": "column"}, "prompts": {"columns": {"quality": "good"}}},
            "none of the first 12 rows of .* in the column 'good'",
        ),
        (
            rows(12),
            {
                "policy": {"source": "pretrained", "model": "m"},
                "training": {"enabled": True, "max_completion_tokens": 64},
                "pass_rates": {"max_completion_tokens": 64},
                "grading": {"kind": "exact"},
            },
            r"12 usable prompts, fewer than plan\.prompts_per_step = 32; set it to at most 12",
        ),
    ],
)
def test_what_cannot_work_is_refused(config_of, content, sections, message):
    with pytest.raises(DataError, match=message):
        look_at_pool(config_of(content, **sections))


def test_the_built_in_world_is_not_looked_at():
    assert look_at_pool(validate({})) == []
