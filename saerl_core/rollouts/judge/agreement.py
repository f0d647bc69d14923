"""Whether what two texts say agrees: every reading of one against every reading of the other."""

from functools import lru_cache

from saerl_core.rollouts.judge.comparing import same
from saerl_core.rollouts.judge.errors import NotReadableError, TooLargeError
from saerl_core.rollouts.judge.numbers import UndefinedError
from saerl_core.rollouts.judge.structures import readings
from saerl_core.rollouts.judge.values import Choice, Items, Value

_MAX_CHARS = 2000


@lru_cache(maxsize=20_000)
def read(texts: tuple[str, ...]) -> tuple[Value, ...]:
    """Return every reading of the texts of one answer; `NotReadableError` or `TooLargeError` where there is none."""
    if any(len(text) > _MAX_CHARS for text in texts):
        raise NotReadableError("too long")
    try:
        if len(texts) == 1:
            return readings(texts[0])
        return (Items(tuple(readings(text)[-1] for text in texts), "boxes"),)
    except (UndefinedError, RecursionError, OverflowError, ValueError, ZeroDivisionError) as error:
        raise NotReadableError(str(error)) from error


def compare(golds: tuple[Value, ...], answers: tuple[Value, ...]) -> tuple[bool | None, str]:
    """Return True where any pair of readings agrees, else None where one pair is in doubt, else False."""
    if any(isinstance(v, Choice) for v in golds) and any(isinstance(v, Choice) for v in answers):
        golds, answers = (tuple(v for v in side if isinstance(v, Choice)) for side in (golds, answers))
    reasons: set[str] = set()
    for gold in golds:
        for answer in answers:
            try:
                agree = same(gold, answer)
            except TooLargeError:
                agree, reason = None, "answer too large"
            except (NotReadableError, UndefinedError, RecursionError, OverflowError, ValueError, ZeroDivisionError):
                agree, reason = None, "comparison failed"
            else:
                reason = "not decided"
            if agree:
                return True, "equal"
            if agree is None:
                reasons.add(reason)
    return (None, sorted(reasons)[0]) if reasons else (False, "different")


def agree(one: str, other: str) -> bool:
    """Tell whether two texts are readable and say the same."""
    try:
        return compare(read((one,)), read((other,)))[0] is True
    except (NotReadableError, TooLargeError):
        return False
