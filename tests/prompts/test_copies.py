"""Copies and conflicts that only their spelling tells apart; invisible characters."""

import pytest

from saerl_core.config.run import BenchmarkConfig, PromptsConfig
from saerl_core.ids import prompt_id
from saerl_core.prompts.benchmarks import load_benchmarks
from saerl_core.prompts.load import load_prompts
from tests.prompts.files import issues, load, row, write_jsonl

_PROMPT = row(1)["prompt"]
_HALVES = "What is $\\frac{1}{2}+\\frac{1}{3}$ in lowest terms?"


def _load_compared(path, same_answers):
    return load_prompts(PromptsConfig(source="file", path=str(path)), 0, same_answers)


def _comparison(*equal):
    """A grader that knows which pairs are equal, and None where a question mark is in one."""
    asked = []

    def same_answers(pairs):
        asked.extend(pairs)
        known = [{*pair} for pair in equal]
        return [None if "?" in a + b else {a, b} in known for a, b in pairs]

    return same_answers, asked


@pytest.mark.parametrize(
    "copy",
    [
        _PROMPT.replace("apples", "app\u200bles"),
        "\ufeff" + _PROMPT,
        _PROMPT + "\u200e",
        _PROMPT.replace("has", "h\u00adas"),
        _PROMPT.replace("Kim", "K\u2060im"),
        _PROMPT.replace("buys", "b\ufe0fuys"),
        _PROMPT.replace("buys", "\U000e0041buys"),
    ],
)
def test_an_invisible_character_is_flagged_and_makes_no_other_prompt(tmp_path, copy):
    out = load(write_jsonl(tmp_path / "pool.jsonl", [row(1, prompt=copy), row(1)])).train
    assert list(out["flags"]) == ["invisible_character,duplicate", ""]
    assert out["duplicate_of"].tolist() == [prompt_id(_PROMPT, "2"), None]
    assert out["prompt"].iloc[0] == copy  # the text itself stays as it is


@pytest.mark.parametrize(
    "text",
    [
        "a family \U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u2764\ufe0f",
    ],
)
def test_joiners_that_shape_a_script_or_an_emoji_are_no_accident(tmp_path, text):
    out = load(write_jsonl(tmp_path / "pool.jsonl", [row(1, prompt=f"{_PROMPT} {text}"), row(2)])).train
    assert list(out["flags"]) == ["", ""]


@pytest.mark.parametrize("answer", ["2\u200b", "\ufeff2", "\u200e2\u200e", "2\u2060 "])
def test_an_answer_loses_its_invisible_characters_with_a_flag(tmp_path, answer):
    out = load(write_jsonl(tmp_path / "pool.jsonl", [row(1), row(1, answer=answer), row(2)]))
    assert list(out.train["answer"]) == ["2", "2", "4"]
    assert list(out.train["conflict"]) == [False] * 3
    assert out.train["duplicate_of"].iloc[1] == out.train["prompt_id"].iloc[0]
    assert (2, "invisible_character", False) in issues(out)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"answer": "\u200b"}, "empty_answer"),
        ({"answer": " \ufeff\u200d "}, "empty_answer"),
        ({"answer": ["\u200b"]}, "empty_answer"),
        ({"prompt": "\u200b\u2060"}, "empty_prompt"),
    ],
)
def test_what_nobody_sees_is_empty(tmp_path, values, reason):
    out = load(write_jsonl(tmp_path / "pool.jsonl", [row(1), row(2, **values)]))
    assert issues(out) == {(2, reason, True)}


def test_copies_in_other_spelling_name_the_kept_row_and_ids_stay_those_of_the_texts(tmp_path):
    other = _HALVES.replace("\\frac", "\\dfrac").replace("$", "$$")
    texts = [_HALVES, other, _HALVES, other]
    out = load(write_jsonl(tmp_path / "pool.jsonl", [row(1, prompt=t, answer="5/6") for t in texts])).train
    one, two = prompt_id(_HALVES, "5/6"), prompt_id(other, "5/6")
    assert list(out["prompt_id"]) == [one, two, f"{one}-2", f"{two}-2"]
    assert list(out["duplicate_of"]) == [None, one, one, one]
    assert list(out["conflict"]) == [False] * 4


@pytest.mark.parametrize("answers", [("\\frac{5}{6}", "\\dfrac56", "$\\frac{5}{6}$"), ("x=1, y=2", "x=1,y=2")])
def test_answers_that_differ_in_spelling_need_no_grader(tmp_path, answers):
    rows = [row(1, prompt=_HALVES, answer=a) for a in answers]
    out = load(write_jsonl(tmp_path / "pool.jsonl", rows)).train
    assert not out["conflict"].any()
    assert out["usable"].sum() == 1


def test_a_conflict_is_what_the_grader_calls_different(tmp_path):
    same, asked = _comparison(("5/6", "10/12"))
    rows = [row(1, prompt=_HALVES, answer=a) for a in ("5/6", "10/12")]
    rows += [row(2, answer=a) for a in ("4", "5")] + [row(3, answer=a) for a in ("6", "six?")] + [row(4)]
    out = _load_compared(write_jsonl(tmp_path / "pool.jsonl", rows), same).train
    assert list(out["conflict"]) == [False, False, True, True, True, True, False]
    assert list(out["usable"]) == [True, False, False, False, False, False, True]
    assert out["duplicate_of"].iloc[1] == out["prompt_id"].iloc[0]
    assert {frozenset(pair) for pair in asked} == {frozenset(p) for p in (("5/6", "10/12"), ("4", "5"), ("6", "six?"))}


def test_answers_are_joined_only_where_all_equal_each_other(tmp_path):
    same, _ = _comparison(("50%", "0.5"), ("50%", "50"))  # and .5 is not 50
    rows = [*(row(1, answer=a) for a in ("50%", "0.5", "50")), row(2)]
    out = _load_compared(write_jsonl(tmp_path / "pool.jsonl", rows), same).train
    assert list(out["conflict"]) == [True, True, True, False]


def test_a_prompt_with_very_many_answers_is_a_conflict_without_a_question(tmp_path):
    same, asked = _comparison()
    rows = [row(1, answer=str(i)) for i in range(40)] + [row(2)]
    assert _load_compared(write_jsonl(tmp_path / "pool.jsonl", rows), same).train["conflict"].sum() == 40
    assert asked == []


def test_benchmarks_are_judged_in_the_same_way(tmp_path):
    same, _ = _comparison(("2", "4/2"))
    path = write_jsonl(tmp_path / "exam.jsonl", [row(1), row(1, answer="4/2"), row(2)])
    table = load_benchmarks([BenchmarkConfig(name="exam", path=str(path))], 4000, same).table
    assert list(table["usable"]) == [True, False, True]
    assert not table["conflict"].any()
