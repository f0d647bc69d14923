"""Leaks in other spellings, templates, short items, and what is no leak."""

import pytest

from saerl_core.prompts.decontaminate import EvalItem, find_matches
from tests.prompts.files import load, row, write_jsonl

_LONG = (
    "Let $a$ and $b$ be positive reals with $\\frac{a}{b}=(a+b)^2$ and $a^2-b^2=12$. Find the value of $a\\cdot b$ now."
)
_SHORT = "Find the sum of the cubes of $1$ to $9$."
_SUFFIX = " Think step by step and put the final answer within \\boxed{}."
_TEMPLATE = (
    "Here is one task. Read it twice, think about it as long as you like between the marks, and when you are done "
    "write one result behind the arrow. Task: {} Start!"
)
_QUESTIONS = (
    *("How many primes are below 40?", "Solve $x^2=49$.", "Name the fifth power of 2.", "Evaluate $\\log_2 32$."),
    *("What is the area of a circle of radius 3?", "Add the odd numbers up to 19.", "Which digit ends $7^{100}$?"),
    *("How many diagonals has a hexagon?", "Find $\\gcd(84,126)$.", "Lea has 7 pens and buys 5 more. How many now?"),
    *("A cube has volume 64. What is its surface?", "A train goes 90 km in 2 hours. How fast is it?"),
)
_SPELL = {
    "dfrac": lambda t: t.replace("\\frac", "\\dfrac"),
    "left": lambda t: t.replace("(", "\\left(").replace(")", "\\right)"),
    "suffix": lambda t: t + _SUFFIX,
    "prefix": lambda t: "Question 3: " + t,
    "zero_width": lambda t: t.replace("e", "e\u200b"),
    "capitals": str.upper,
    "no_dollars": lambda t: t.replace("$", ""),
    "no_punctuation": lambda t: t.replace(".", ""),
    "brackets": lambda t: t.replace(" $", " \\(").replace("$ ", "\\) ").replace("$.", "\\)."),
    "blanks": lambda t: t.replace("=", " = ").replace(" ", "\u00a0 "),
    "all": lambda t: f"<|user|>{t.replace('$', '').replace('frac', 'tfrac').upper()}\u2060{_SUFFIX}",
}


def _exam(*texts):
    return [EvalItem("exam", str(i), text) for i, text in enumerate(texts)]


@pytest.mark.parametrize("item", [_LONG, _SHORT], ids=["long", "short"])
@pytest.mark.parametrize("spelling", list(_SPELL))
def test_an_item_in_another_spelling_is_found(spelling, item):
    matches = find_matches([_SPELL[spelling](item), "Nothing of the kind."], _exam(item), 13, 0.5).matches
    assert [(m.prompt_index, m.coverage) for m in matches] == [(0, 1.0)]


@pytest.mark.parametrize(
    ("item", "prompt", "found"),
    [
        ("Is $k > 0$ here?", "Is $k < 0$ here?", False),
        ("Compute $2+3$.", "Compute $2-3$.", False),
        ("Compute $2+3$.", "Compute $2+3+4$.", False),
        ("Compute $2+3$.", "Compute $2+3$ and say why.", False),
        ("Compute $2+3$.", "Compute $2+3$. And say why.", True),
        ("Expand $(x+1)$ now", "Expand $(x+1)$ now (in words)", True),
        ("Expand $3(x+1)$", "Expand $3(x+1)(x-2)$", False),
        ("What is $x^{12}$ at 2?", "What is $x^1$ 2 at 2?", False),
        ("How many digits are there?", "How many digits are there that are odd?", False),
        ("How many digits are there?", "How many digits are there? If unsure, guess.", True),
        ("Simplify $6/8$.", "Please simplify 6/8?", True),
        ("Solve.", "Solve. Then find x.", False),  # one or two units: only where they are all of the prompt
        ("Solve.", "Solve!", True),
        ("$\\sqrt{180}$", "$\\sqrt{180}+1$", False),
        ("[asy] draw(x); [/asy]", "[asy] draw(y); [/asy]", False),
        ("[asy] draw(x); [/asy]", "[asy]  draw(x); [/asy]", True),
        ("What is $x$? [asy] draw(1,2); [/asy]", "What is $x$? [asy] draw(3,4); [/asy]", False),
        ("What is $x$? [asy] draw(1,2); [/asy]", "Say: What is $x$? [asy]draw(1, 2);[/asy]", True),
        ("What is $x$? [asy] draw(1,2); [/asy]", "What is $x$?", False),
        ("求一到九的立方和", "请解答:求一到九的立方和。", True),
    ],
)
def test_a_short_item_is_found_as_a_whole_only(item, prompt, found):
    compared = find_matches([prompt], _exam(item), 13, 0.5)
    assert compared.n_short == 1
    assert len(compared.matches) == found


@pytest.mark.parametrize("n_items", [1, 2, 3, 5, 6])
def test_a_template_on_both_sides_is_no_leak(n_items):
    texts = [_TEMPLATE.format(q) for q in _QUESTIONS]
    compared = find_matches(texts[n_items:], _exam(*texts[:n_items]), 13, 0.5)
    assert compared.matches == ()
    told = compared.boilerplate[0]
    assert told.text.startswith("here is one task")
    assert (told.n_items, told.n_prompts) == (n_items, 12 - n_items)


@pytest.mark.parametrize("bare", [False, True])
def test_a_leak_under_a_template_is_found(bare):
    texts = [_TEMPLATE.format(q) for q in _QUESTIONS]
    leaked = _QUESTIONS[4] if bare else texts[4]
    matches = find_matches([*texts[6:], leaked], _exam(*texts[:6]), 13, 0.5).matches
    assert [(m.prompt_index, m.item.eval_id) for m in matches] == [(6, "4")]


def test_a_formula_of_many_items_is_set_aside_but_a_whole_item_is_a_leak():
    ending = "where m and n are relatively prime positive integers and the fraction is positive. Find the sum m+n."
    starts = [f"The chance of event number {i} in game {i * 7} is m/n," for i in range(4)]
    filler = [" ".join(f"word{i}{chr(97 + j)}" for j in range(20)) for i in range(8)]
    exam = _exam(*(f"{start} {ending}" for start in starts), *filler)
    pool = [f"Kim draws a card from a deck of cards, so p is m/n, {ending}", f"{starts[2]} {ending}", filler[3]]
    compared = find_matches(pool, exam, 13, 0.5)
    assert [(m.prompt_index, m.item.eval_id) for m in compared.matches] == [(1, "2"), (2, "7")]
    assert next(b.n_items for b in compared.boilerplate) == 4


def test_an_item_that_the_pool_holds_often_makes_no_template():
    prompts = [f"Task {i}. {_LONG} {'So be it. ' * (i % 3)}" for i in range(5)] + [row(i)["prompt"] for i in range(7)]
    assert len(find_matches([*prompts, _LONG, _LONG], _exam(_LONG), 13, 0.5).matches) == 7


def test_copies_of_one_prompt_make_no_template():
    half = _LONG.rpartition(". ")[0] + ". What is the ratio of them?"
    assert len(find_matches([half] * 9 + [row(1)["prompt"]], _exam(_LONG), 13, 0.5).matches) == 9


def test_one_item_many_times_in_the_evaluation_file_makes_no_template():
    half = _LONG.rpartition(". ")[0] + ". What is the ratio of them?"
    assert len(find_matches([half], _exam(*[_LONG] * 8), 13, 0.5).matches) == 8


def test_the_record_tells_what_was_set_aside_and_counts_short_items(tmp_path):
    texts = [_TEMPLATE.format(q) for q in _QUESTIONS]
    exam = write_jsonl(tmp_path / "exam.jsonl", [{"prompt": t} for t in [*texts[:6], _SHORT]])
    rows = [row(i, prompt=t) for i, t in enumerate([*texts[6:], _SHORT + _SUFFIX])]
    out = load(write_jsonl(tmp_path / "pool.jsonl", rows), decontaminate_against=(str(exam),))
    assert out.train["usable"].tolist() == [True] * 6 + [False]
    assert out.report.boilerplate[0].n_prompts == 6
    assert any("stand in many problems" in note for note in out.report.notes)
    assert out.report.counts["n_whole_matches"] == 1
    assert out.report.counts["n_eval_items_short"] >= 1
    assert "all the words and signs of line 7 of exam.jsonl" in set(out.issues["detail"])


def test_the_held_out_prompts_are_compared_in_the_same_way(tmp_path):
    held_out = write_jsonl(tmp_path / "exam.jsonl", [row(1, prompt=_LONG)])
    pool = write_jsonl(tmp_path / "pool.jsonl", [row(2), row(3, prompt=_SPELL["all"](_LONG))])
    assert list(load(pool, eval_path=str(held_out)).train["usable"]) == [True, False]


@pytest.mark.parametrize("spelling", [name for name in _SPELL if name not in ("brackets", "all", "no_punctuation")])
def test_known_truth_math500_is_found_in_itself_in_every_spelling(shared_data, spelling):
    exam = list(load(shared_data / "math500.jsonl.gz").train["prompt"])
    matches = find_matches([_SPELL[spelling](text) for text in exam], _exam(*exam), 13, 0.5).matches
    found = {m.prompt_index for m in matches if m.item.eval_id == str(m.prompt_index)}
    assert len(found) >= 0.99 * len(exam)
