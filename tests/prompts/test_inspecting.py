"""Flags: each trap is found, harmless text is not, and nothing is repaired."""

import pytest

from saerl_core.errors import DataError
from saerl_core.flags import UNUSABLE
from saerl_core.prompts import inspect
from saerl_core.prompts.inspect import inspect_answer, inspect_prompt
from tests.prompts.files import issues, load, row, write_jsonl

_PLAIN = "What is the sum of the first ten numbers? "


def _flags(prompt: str) -> set[str]:
    return {s.flag for s in inspect_prompt(prompt, 4000)}


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("Find $\x0crac{1}{2}$ of it.", "swallowed_latex"),
        ("Find $2 \times 3$ exactly.", "swallowed_latex"),
        ("in $\text{cm}$", "swallowed_latex"),
        ("with $x \neq 4$", "swallowed_latex"),
        ("and $\beta$ is", "swallowed_latex"),
        ("so $\right)$", "swallowed_latex"),
        ("the \x0cfirst player", "control_character"),
        ("lost \ufffd here", "replacement_character"),
        ("one\u2028two", "line_separator"),
        ("求和", "cjk"),
        ("[asy] draw((0,0)--(1,1)); [/asy]", "asy"),
        ("as in the figure", "mentions_figure"),
        ("the triangle shown below", "mentions_figure"),
        ("![Image](https://example.org/a.png)", "missing_image"),
        ("\\includegraphics{a.png}", "missing_image"),
        ("\nA. 1\nB. 2\nC. 3", "multiple_choice"),
        ("(A) 1 (B) 2 (C) 3", "multiple_choice"),
        ("$\\textbf{(A)}\\ 1 \\qquad\\textbf{(B)}\\ 2 \\qquad\\textbf{(C)}\\ 3$", "multiple_choice"),
        ("Prove that it is even.", "proof"),
        ("Show that it is even.", "proof"),
        ("(a) Find x. (b) Find y.", "multi_part"),
        ("x" * 4000, "long_prompt"),
    ],
)
def test_odd_prompt_is_flagged_once(text, flag):
    assert _flags(_PLAIN + text) == {flag}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Records show that half are even.",
        "How many movies are shown in total?",
        "Plan A. was better, plan B. was not.",
        "f(a) and g(b) and (a, b)",
        "k > 0 \r\n next line",
        "An indent:\treturn 1;\teach one",
        "line one\nequal parts",
    ],
)
def test_harmless_prompt_is_not_flagged(text):
    assert _flags(_PLAIN + text) == set()


def test_drawing_is_no_absent_figure():
    assert _flags(_PLAIN + "as in the figure [asy] draw((0,0)--(1,1)); [/asy]") == {"asy"}


@pytest.mark.parametrize(
    ("answer", "flags"),
    [
        ("27", set()),
        ("\\frac{1}{2}", set()),
        ("(1,2)", set()),
        ("3 \\text{ or } 4", set()),
        ("\\$5", {"answer_dollar"}),
        ("20\\%", {"answer_percent"}),
        ("1,234", {"answer_thousands"}),
        ("10{,}000", {"answer_thousands"}),
        ("11,\\!090", {"answer_thousands"}),
        ("(995^2,994^2)", set()),
        ("20\\text{ miles}", {"answer_unit"}),
        ("30^\\circ", {"answer_unit"}),
        ("5 cm", {"answer_unit"}),
        ("1\n2", {"answer_newline"}),
        ("\\boxed{6}", {"answer_boxed"}),
        ("\\boxed{6} or \\boxed{7}", {"answer_multiple_boxed"}),
        ("2 + 2 = 4 #### 4", {"answer_marker"}),
        ("x" * 201, {"long_answer"}),
        ("\x0crac{1}{2}", {"swallowed_latex"}),
    ],
)
def test_answer_flags(answer, flags):
    assert {s.flag for s in inspect_answer(answer)} == flags


@pytest.mark.parametrize(
    ("value", "text", "flags"),
    [
        (27, "27", "numeric_answer"),
        (27.0, "27", "numeric_answer"),
        (-0.5, "-0.5", "numeric_answer"),
        (10**30, str(10**30), "numeric_answer"),
        (1e20, "1e+20", "imprecise_answer,numeric_answer"),
        (["7"], "7", "unwrapped_answer"),
        ([7.0], "7", "numeric_answer,unwrapped_answer"),
        (["1", "2"], "1, 2", "list_answer"),
        (" 5\n", "5", "answer_whitespace"),
        ("27.0", "27.0", ""),  # a text stays as it is
    ],
)
def test_answers_of_other_types(tmp_path, value, text, flags):
    out = load(write_jsonl(tmp_path / "pool.jsonl", [row(1), row(2, answer=value)])).train.iloc[1]
    assert out["answer"] == text
    assert out["flags"] == flags
    assert out["usable"] == (not {"imprecise_answer", "list_answer"} & set(flags.split(",")))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"prompt": None}, "missing_prompt"),
        ({"prompt": " \n"}, "empty_prompt"),
        ({"prompt": ["hi", "ho"]}, "non_text_prompt"),
        ({"answer": None}, "missing_answer"),
        ({"answer": float("nan")}, "missing_answer"),
        ({"answer": " "}, "empty_answer"),
        ({"answer": []}, "empty_answer"),
        ({"answer": [[1], [2]]}, "unsupported_answer"),
        ({"answer": {"inputs": [1], "outputs": [2]}}, "unsupported_answer"),
        ({"answer": True}, "unsupported_answer"),
        ({"answer": float("inf")}, "unsupported_answer"),
        ({"answer": "\ud83d"}, "lone_surrogate"),
        ({"prompt": "half an emoji \ud83d"}, "lone_surrogate"),
    ],
)
def test_rejected_values(tmp_path, values, reason):
    path = write_jsonl(tmp_path / "pool.jsonl", [row(1), row(2, **values)], ascii_only=True)
    out = load(path)
    assert issues(out) == {(2, reason, True)}
    assert len(out.train) == 1
    assert out.report.counts[f"n_rejected_{reason}"] == 1


def test_proof_without_an_answer_says_so(tmp_path):
    path = write_jsonl(tmp_path / "pool.jsonl", [row(1), {"prompt": "Prove that there are many.", "answer": ""}])
    assert "asks for a proof" in load(path).issues["detail"].iloc[0]


def test_flag_in_prompt_and_answer_stands_once(tmp_path):
    rows = [row(1), row(2, prompt="What is $\x0crac{1}{2}$ in other words?", answer="\x0crac{2}{4}")]
    out = load(write_jsonl(tmp_path / "pool.jsonl", rows))
    assert out.train["flags"].iloc[1] == "swallowed_latex"
    assert not out.train["usable"].iloc[1]
    assert out.train["answer"].iloc[1] == "\x0crac{2}{4}"  # the form feed is what is left of \frac, not white space
    assert "answer:" in out.issues["detail"].iloc[0]


def test_pool_without_a_usable_row_is_refused(tmp_path):
    path = write_jsonl(tmp_path / "pool.jsonl", [row(1), row(2)])
    with pytest.raises(DataError, match=r"none of the 2 rows of the pool is usable.*2 long_prompt"):
        load(path, max_prompt_chars=10)


def test_table_in_the_docstring_names_every_unusable_flag():
    table = {
        cells[1].strip(): cells[2].strip() == "yes"
        for cells in (line.split("|") for line in inspect.__doc__.splitlines() if line.startswith("| "))
    }
    assert {flag for flag, unusable in table.items() if unusable and flag != "flag"} == UNUSABLE
    patterns = (*inspect._PROMPT_PATTERNS, *inspect._CHARACTER_PATTERNS, *inspect._ANSWER_PATTERNS)
    assert {flag for flag, _ in patterns} <= set(table)
