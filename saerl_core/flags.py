"""Flags that make a row unusable; `prompts.inspect` lists what every flag means."""

from collections.abc import Collection, Iterable
from typing import Final

ALWAYS: Final = frozenset({"duplicate", "conflict", "contaminated"})  # what the row is among others: not to be waived
UNUSABLE: Final = ALWAYS | {
    "swallowed_latex",
    "replacement_character",
    "missing_image",
    "missing_tools",
    "long_prompt",
    "list_answer",
    "imprecise_answer",
    "answer_marker",
    "no_answer",
    "choice_without_options",
    "special_token",
}


def reasons(flags: Iterable[str], keep: Collection[str] = ()) -> list[str]:
    """Return the flags that make a row unusable, without those that `prompts.keep_flags` waives."""
    return [flag for flag in flags if flag in UNUSABLE and (flag in ALWAYS or flag not in keep)]


def is_usable(flags: Iterable[str], keep: Collection[str] = ()) -> bool:
    """Tell whether no flag of the row makes it unusable."""
    return not reasons(flags, keep)
