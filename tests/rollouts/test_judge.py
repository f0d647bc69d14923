import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saerl_core.rollouts.judge.errors import NotReadableError, TooLargeError
from saerl_core.rollouts.judge.evaluating import equal
from saerl_core.rollouts.judge.expressions import parse
from saerl_core.rollouts.judge.extraction import NOTHING, extract, unboxed_gold
from saerl_core.rollouts.judge.folding import fold
from saerl_core.rollouts.judge.judge import judge
from saerl_core.rollouts.judge.lexing import lex
from saerl_core.rollouts.judge.structures import readings

PIECES = [
    r"\frac",
    r"\sqrt",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    r"\{",
    r"\}",
    "^",
    "_",
    "!",
    "|",
    r"\pm",
    ",",
    ";",
    ":",
    "=",
    "<",
    r"\le",
    r"\cup",
    r"\text{ and }",
    r"\text{cm}",
    "x",
    "e",
    "i",
    "5",
    "10",
    "0",
    "1e9",
    "%",
    r"\\",
    "&",
    " ",
    "\\",
    r"\begin{pmatrix}",
    r"\end{pmatrix}",
    r"\sin",
    r"\log",
    r"\binom",
    r"\lfloor",
    r"\infty",
    "-",
    "+",
    "/",
    "½",
    "①",
    r"\boxed{",
    "Answer:",
    "<answer>",
    "</think>",
    r"\pmod",
    "3:40",
    r"\overline{3}",
    r"\in",
    r"\mathrm{",
    r"\max",
    "$",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.lists(st.sampled_from(PIECES), max_size=14))
@example(r"\frac{1}{0}", ["5"])
@example("(" * 500, ["7"])
def test_nothing_raises_on_any_text(gold: str, pieces: list[str]) -> None:
    extracted = extract("".join(pieces))
    if extracted.texts:
        assert judge(unboxed_gold(gold), extracted).correct in (True, False, None)


@given(st.text(max_size=40))
def test_every_answer_equals_itself_or_is_read_by_nobody(text: str) -> None:
    gold, answer = unboxed_gold(text), extract(rf"\boxed{{{text}}}")
    if answer.texts and answer.rule == "box" and answer.texts[0] == text.strip() and gold.texts == (text,):
        assert judge(gold, answer).correct is not False


@pytest.mark.parametrize(
    ("completion", "texts", "rule"),
    [
        (r"so \boxed{6}", ("6",), "box"),
        (r"\boxed{1} no, \boxed{\frac{1}{2}}.", (r"\frac{1}{2}",), "box"),
        (r"\boxed{1}\boxed{2}", ("2",), "box"),
        (r"\boxed{1} and $x = \boxed{2}$", ("1", "2"), "boxes"),
        (r"\boxed {3}", ("3",), "box"),
        (r"\boxed{\{1,2\}}", (r"\{1,2\}",), "box"),
        (r"\boxed{a\}b}", (r"a\}b",), "box"),
        (r"\boxed{\boxed{4}}", ("4",), "box"),
        (r"\boxed{7}, as asked in \boxed{your answer}", ("7",), "box"),
        ("Answer: $5$.", ("$5$.", "5"), "answer phrase"),
        ("and so we get the value $y=4$", ("y=4",), "last formula"),
        ("1 + 1 = 2\nwhich makes 30 of them in the end", ("30",), "last number"),
    ],
)
def test_extraction_order(completion: str, texts: tuple[str, ...], rule: str) -> None:
    found = extract(completion)
    assert (found.texts, found.rule) == (texts, rule)


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "   ",
        "we get $x=3$ and so $y=4$",
        r"<think>\boxed{3}, or",
        r"\boxed{1} then \boxed{6",
        r"\boxed{ }",
        "I do not\nknow",
    ],
)
def test_no_answer(completion: str) -> None:
    assert extract(completion) == NOTHING


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("1 234 567", "1234567"),
        (r"1\,234", "1234"),
        (r"1\\ 234", r"1\\ 234"),  # a row break is no space
        ("1{,}234", "1234"),
        ("12 34", "12 34"),
        (r"0.1\overline{6}", "0.1(6)"),
        ("x²⁻ⁿ", "x^{2-n}"),
        ("2½", r"2\frac{1}{2}"),
        ("a\u200bb", "ab"),
        (r"\\frac{1}{2}", r"\frac{1}{2}"),  # escaped twice
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}", False),
        (r"e^{i\pi}", "-1", True),
        (r"e^{-500}", "e^{-501}", False),  # both tiny, and different
        (r"\sin\pi", "0", True),  # noise that shrinks with the precision
        (r"e^{\pi\sqrt{163}}", "262537412640768744", False),  # equal in 30 digits
        (r"(-1)^n", r"\cos(n\pi)", None),  # whole numbers only
        (r"\sqrt{x^2}", "x", None),  # positive x only
        (r"\log 100", "2", None),  # whose logarithm?
        (r"\log 8", r"3\log 2", True),
        (r"|x-1|", r"|1-x|", True),
        (r"\lfloor -2.5 \rfloor", "-3", True),
    ],
)
def test_equality(one: str, other: str, same: bool | None) -> None:
    assert equal(parse(lex(fold(one))), parse(lex(fold(other)))) is same


@pytest.mark.parametrize("text", ["10^9!", "2^{3^{4^{5^6}}}", "9^{9^9}", "1e99999", r"\binom{10^9}{10^8}"])
def test_too_large(text: str) -> None:
    with pytest.raises(TooLargeError):
        equal(parse(lex(fold(text))), parse(lex("1")))


@pytest.mark.parametrize("text", ["1/2x", r"\int x", "2 3", "x +", r"\sqrt12", "(x", r"\frac{1}", "5 more or"])
def test_what_is_not_read_as_a_whole_is_refused(text: str) -> None:
    with pytest.raises(NotReadableError):
        readings(text)


def test_a_comma_between_digits_is_read_both_ways() -> None:
    assert len(readings("1,234")) == 2
    assert len(readings("1,000")) == 1  # 000 is no number of its own
