"""Which spellings are one text, and which differences are kept."""

import pytest

from saerl_core.prompts.folding import goes_on, spelled, units

_SAME = [
    (r"\frac{a}{b}", r"\dfrac{a}{b}"),
    (r"\frac{1}{2}", r"\tfrac12"),
    (r"\frac{1}{2}", "½"),
    (r"\frac ab + 1", r"\frac{a}{b}+1"),
    (r"(a+b)^2", r"\left(a+b\right)^{2}"),
    (r"(a+b)^2", r"\bigl( a + b \bigr)^2"),
    (r"\sin 60^\circ", r"\sin 60^{\circ}"),
    (r"\sin 60^\circ", "\\sin 60°"),
    ("x = 3", r"x\,=\;3"),
    ("x = 3", r"x \quad = ~3"),
    (r"\int x\!dx", r"\int x dx"),
    ("$x+1$", r"\(x+1\)"),
    ("$x+1$", r"\[x+1\]"),
    ("$x+1$", "x+1"),
    (r"a \le b", r"a \leq b"),
    (r"a \le b", "a ≤ b"),
    (r"a \ge b", r"a \geqslant b"),
    (r"a \ne b", r"a \neq b"),
    (r"10\text{ cm}", r"10\mathrm{cm}"),
    ("x^{10}", "x¹⁰"),
    ("x_{2}", "x₂"),
    ("5 - 3", "5 \u2212 3"),
    (r"\pi r^2", "π r²"),
    (r"\sqrt3", "√3"),
    (r"\sqrt{3}", r"\sqrt 3"),
    ("10{,}000", "10,000"),
    ("10{,}000", r"10\,000"),
    ("10{,}000", "10000"),
    ("a sum", "a s\u200bum"),
    ("a sum", "\ufeffa su\u00adm\u200e"),
    ("a sum", "a\u00a0sum"),
    ("a sum of 12", "\uff41 sum of \uff11\uff12"),
    ("caf\u00e9", "cafe\u0301"),
    (r"\begin{matrix} 1 & 2 \\ 3 & 4 \end{matrix}", r"\begin{matrix}1&2\\3&4\end{matrix}"),
    (r"\dots, \pi", r"\ldots, π"),
]
_SAME_WORDS = [
    (r"Find $x$.", r"FIND $X$"),
    (r"Find $\frac{x}{2}$.", r"FIND $\FRAC{X}{2}$"),
    ("How many cows? Say so.", "How many cows - say so!"),
    ("two-digit numbers", "two digit numbers"),
    ("Find **all** `x`", "Find all x"),
    ("What is 3 + 4", "What is 3 + 4 = ?"),
    ("Solve it.", "<|im_start|>Solve it.</think>"),
    ("2x + 1", "2 x + 1"),
    ("Find x [asy] draw(x); [/asy]", "Find x"),
]
_DIFFERENT = [
    ("k > 0", "k < 0"),
    ("k > 0", r"k \ge 0"),
    ("k = 0", r"k \ne 0"),
    ("x + 1", "x - 1"),
    ("x + 1", r"x \times 1"),
    (r"a \cdot b", r"a \times b"),
    ("x^2", "x2"),
    ("x²", "x2"),
    ("x^2", "x_2"),
    ("x^{2y}", "x^2y"),
    ("2^{n+1}", "2^n+1"),
    (r"\sqrt2", "2"),
    (r"\sqrt{2x}", r"\sqrt{2}x"),
    (r"\frac{a}{bc}", r"\frac{ab}{c}"),
    (r"\frac{1}{23}", r"\frac{12}{3}"),
    (r"\frac{2}{3x}", r"\frac{2}{3}x"),
    ("2½", "21/2"),
    ("3.5", "35"),
    ("3.5", "3, 5"),
    ("(1,2)", "(12)"),
    ("[0,1)", "(0,1)"),
    ("(a+b)^2", "a+b^2"),
    ("|x|", "x"),
    ("5!", "5"),
    ("f'(x)", "f(x)"),
    ("5%", "5"),
    ("-5", "5"),
    ("a/b", "ab"),
    (r"1 & 2 \\ 3 & 4", r"1 & 2 & 3 & 4"),
    (r"\{1,2\}", "(1,2)"),
    (r"\sin x", r"\cos x"),
    (r"\alpha", r"\beta"),
    ("求和", "求差"),
    ("1+2+...+n", "1+2+n"),
]


@pytest.mark.parametrize(("one", "other"), _SAME)
def test_spellings_of_one_text_are_one(one, other):
    assert spelled(one) == spelled(other)
    assert units(one) == units(other)


@pytest.mark.parametrize(("one", "other"), _SAME_WORDS)
def test_case_punctuation_and_markup_are_no_part_of_the_units(one, other):
    assert units(one) == units(other)


@pytest.mark.parametrize(("one", "other"), _DIFFERENT)
def test_different_problems_stay_different(one, other):
    assert spelled(one) != spelled(other)
    assert units(one) != units(other)
    assert units(f"What is {one} now") != units(f"What is {other} now")


@pytest.mark.parametrize(("one", "other"), [("Is it P?", "Is it p?"), ("Eat, Kim", "Eat Kim")])
def test_one_spelling_keeps_case_and_punctuation(one, other):
    assert spelled(one) != spelled(other)


def test_deep_or_broken_braces_end():
    for text in (
        "{" * 500 + "x" + "}" * 500,
        "{" * 200,
        "}" * 200,
        "\\frac{" * 50,
        "\\" * 99,
        "^_^_{}{",
        "=-(" * 50_000,
        "( a" * 20_000,
        "1,234" * 20_000,
        "",
    ):
        assert isinstance(units(text), tuple)
        assert isinstance(spelled(text), str)


@pytest.mark.parametrize(
    ("unit", "expected"), [("+4", True), ("^2", True), ("(x", True), ("times", True), ("give", False), ("(in", False)]
)
def test_an_operator_continues_a_formula(unit, expected):
    assert goes_on(unit) is expected
