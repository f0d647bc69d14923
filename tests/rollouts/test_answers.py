import pytest
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.rollouts.answers import as_latex, has_box, last_boxed, plain, word


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{6}", "6"),
        (r"\boxed{1} no, \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{1}\boxed{2}", "2"),  # math-verify would merge adjacent boxes into a set
        (r"\fbox{1} \boxed {3}", "3"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{a\}b}", r"a\}b"),
        (r"\boxed{1} then \boxed{6", None),  # cut off inside the last answer: the first one is not it
        (r"\boxed{ }", None),
        ("42", None),
        ("", None),
    ],
)
def test_last_boxed(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


@given(st.text(alphabet="ab{}\\12 ", max_size=30), st.text(alphabet="ab12+^ ", min_size=1).filter(str.strip))
def test_last_boxed_finds_the_content_behind_anything(before: str, content: str) -> None:
    assert last_boxed(before + " \\boxed{" + content + "} so") == content.strip()


@given(st.text())
def test_nothing_raises_on_any_text(text: str) -> None:
    assert (last_boxed(text) is None) or has_box(text)
    assert as_latex(text).startswith("$")
    assert word(plain(text)) in (None, (word(plain(text)) or "").lower())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (" $18$ ", "18"),
        ("18.", "18"),
        ("1.5", "1.5"),
        ("1...", "1..."),
        ("$5$ and\n $7$", "5 and 7"),
        (r"\$18", r"\$18"),
        (r"the answer is $\boxed{(1,2)}$", "(1,2)"),
    ],
)
def test_plain(answer: str, expected: str) -> None:
    assert plain(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("(1,2)", "$(1,2)$"),
        ("1e10", r"$1\times 10^{10}$"),
        ("-2.5E-3", r"$-2.5\times 10^{-3}$"),
        (r"10,\!080", "$10080$"),
        (r"11,\! 111,\!100", "$11111100$"),
        (r"5\;\text{cm}", r"$5 \text{cm}$"),
        (r"\frac12 ", r"$\frac12$"),
    ],
)
def test_as_latex(answer: str, expected: str) -> None:
    assert as_latex(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(r"\text{Friday}", "friday"), ("blue", "blue"), ("x", None), ("2x", None), (r"\pi", None), ("two words", None)],
)
def test_word(answer: str, expected: str | None) -> None:
    assert word(answer) == expected
