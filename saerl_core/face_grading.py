"""What `saerl_core.grade` is given: a text or several, and a sentence about anything else."""

from collections.abc import Iterable, Mapping

from saerl_core.errors import DataError

_SHOWN_CHARS = 60


def texts_of(given: object, name: str) -> list[str]:
    """Return the texts; `name` is what one of them is called.

    Raises:
        DataError: it is neither a text nor several in an order, or one of several is no text.
    """
    if isinstance(given, str):
        return [given]
    if isinstance(given, bytes | bytearray):
        raise DataError(f"the {name} is {_shown(given)}; {name}s are texts: decode it, .decode('utf-8')")
    if isinstance(given, Mapping):
        raise DataError(f"the {name}s are {_shown(given)}; give a text or a list of texts, such as list(it.values())")
    if isinstance(given, set | frozenset):
        raise DataError(
            f"the {name}s are {_shown(given)}, which has no order; give a text or a list of texts, such as sorted(it)"
        )
    if not isinstance(given, Iterable):
        raise DataError(f"the {name} is {_shown(given)}; {_wanted(given, name)}")
    texts = list(given)
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise DataError(f"{name} {number} of {len(texts)} is {_shown(text)}; {_wanted(text, name)}")
    return texts


def _wanted(value: object, name: str) -> str:
    if _is_missing(value):
        return f"{name}s are texts: leave out what has none, or give ''"
    if isinstance(value, bytes | bytearray):
        return f"{name}s are texts: decode it, .decode('utf-8')"
    return f"{name}s are texts: give str(...) of it, or a list of texts"


def _is_missing(value: object) -> bool:
    try:
        return value is None or bool(value != value)  # noqa: PLR0124 (a missing number is no equal of itself)
    except (TypeError, ValueError):  # pandas' NA, an array
        return type(value).__name__ == "NAType"


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + '...'} ({type(value).__name__})"
