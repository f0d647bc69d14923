"""The judgement of one pair: read both sides, compare every reading, say what was compared."""

import re
from dataclasses import dataclass

from saerl_core.rollouts.judge.agreement import compare, read
from saerl_core.rollouts.judge.errors import NotReadableError, TooLargeError
from saerl_core.rollouts.judge.extraction import Extracted
from saerl_core.rollouts.judge.folding import fold
from saerl_core.rollouts.judge.labels import is_doubtful
from saerl_core.rollouts.judge.lexing import Token, lex
from saerl_core.rollouts.judge.tokens import trim

_LARGE = re.compile(r"\\(?:sum|prod|int|oint|lim)(?![A-Za-z])")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Right, wrong or None, with the reason, and what was compared.

    reasons: "equal", "different"; None: "gold not readable", "answer not readable", "answer too large", "not decided",
    "comparison failed".
    """

    correct: bool | None
    reason: str
    answer: str
    gold: str


def judge(gold: Extracted, answer: Extracted) -> Judgement:
    """Compare the answer of a completion with a gold answer; never raises on content."""
    try:
        return _judged(gold, answer)
    except RecursionError:  # brackets a thousand deep
        return Judgement(None, "comparison failed", answer.texts[0], gold.texts[0])


def _judged(gold: Extracted, answer: Extracted) -> Judgement:
    spelled = " and ".join(gold.texts)
    text = " and ".join(answer.texts) if answer.several else answer.texts[0]
    if answer.in_doubt or gold.in_doubt:
        return Judgement(None, "not decided" if answer.in_doubt else "gold not readable", text, spelled)
    if _spelling(gold.texts) == _spelling(answer.texts if answer.several else answer.texts[:1]):
        return Judgement(True, "equal", text, spelled)
    try:
        golds = read(gold.texts)
    except TooLargeError:
        return Judgement(None, "gold not readable", text, spelled)
    except NotReadableError:
        return Judgement(None, "gold not readable", text, spelled)
    attempts = (answer.texts,) if answer.several else tuple((one,) for one in answer.texts)
    reason = "answer not readable"
    for attempt in attempts:
        if len(attempt) == 1 and is_doubtful(attempt[0]):
            return Judgement(None, "not decided", attempt[0], spelled)
        try:
            answers = read(attempt)
        except TooLargeError:
            return Judgement(None, "answer too large", attempt[0], spelled)
        except NotReadableError:
            continue
        correct, reason = compare(golds, answers)
        return Judgement(correct, reason, " and ".join(attempt), spelled)
    return Judgement(None, reason, text, spelled)


def same_symbols(one: str, other: str) -> bool:
    """Tell whether two sums, products, integrals or limits hold the same letters, numbers and commands, in any order.

    Other answers are not read a second time: "5 ft 3 in" and "3 ft 5 in" have the same symbols too.
    """
    if not all(_LARGE.search(text) for text in (one, other)):
        return False
    try:
        return sorted(t.text for t in lex(fold(one))) == sorted(t.text for t in lex(fold(other)))
    except (NotReadableError, RecursionError):
        return False


def as_formula(answer: str) -> str:
    """Return the answer as one inline formula, the only form that math-verify parses reliably."""
    return f"${fold(answer).replace('$', '')}$"


def _spelling(texts: tuple[str, ...]) -> tuple[object, ...]:
    """Return the tokens of the texts without blanks, except between two numbers; equal ones say the same."""
    spelled: list[object] = []
    for text in texts:
        folded = fold(text)
        if folded.rstrip(" $").endswith("..."):  # it goes on
            spelled.append(folded)
            continue
        try:
            tokens = _bare_groups(trim(lex(folded)))
        except NotReadableError:
            spelled.append(folded)
            continue
        kinds = [t.kind for t in tokens]
        parted = [i for i in range(1, len(tokens)) if kinds[i - 1] == kinds[i] == "number"]
        spelled.append(tuple((t.kind, t.text, i in parted) for i, t in enumerate(tokens)))
    return tuple(spelled)


def _bare_groups(tokens: list[Token]) -> list[Token]:
    """Take the braces off groups of one token: `x^{2}` and `x^2` are one spelling."""
    kept = list(tokens)
    for i in range(len(kept) - 3, -1, -1):
        group = [token.text for token in kept[i : i + 3]]
        if len(group) == 3 and group[0] == "{" and group[2] == "}" and len(group[1]) == 1:
            kept[i : i + 3] = [kept[i + 1]]
    return kept
