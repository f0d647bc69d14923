"""What a person is told about rows that are not used: every kind with its count, and once what many rows share."""

from collections import Counter
from collections.abc import Collection, Sequence

import pandas as pd

from saerl_core.flags import ALWAYS, UNUSABLE, reasons
from saerl_core.prompts.rows import Issue

_MANY_ROWS = 20  # with one and the same passage: a template, not so many accidents
_MANY_FRAC = 0.05


def unusable_notes(train: pd.DataFrame, issues: Sequence[Issue], keep_flags: Collection[str]) -> list[str]:
    """Return one note for each flag that leaves rows out (copies, conflicts and leaks have notes of their own)."""
    counts = Counter(flag for row in train["flags"] for flag in reasons(str(row).split(","), keep_flags))
    notes = []
    for flag, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if flag in ALWAYS:
            continue
        example = next(issue for issue in issues if issue.reason == flag and not issue.rejected)
        notes.append(
            f"Rows not used because of '{flag}': {n} of {len(train)}, such as line {example.line}: {example.detail}."
            + _shared(flag, n, len(train), issues)
        )
    waived = Counter(
        flag for row in train["flags"] for flag in str(row).split(",") if flag in UNUSABLE & set(keep_flags)
    )
    notes += [f"Rows used in spite of '{flag}' (prompts.keep_flags): {n}." for flag, n in sorted(waived.items())]
    return notes


def _shared(flag: str, n: int, n_rows: int, issues: Sequence[Issue]) -> str:
    """Say that most of the rows hold the same passage: one decision for all of them."""
    passages = Counter(i.detail.rpartition(" at position ")[0] for i in issues if i.reason == flag and not i.rejected)
    (passage, n_same), *_ = passages.most_common(1)
    if not passage or n_same < max(_MANY_ROWS, _MANY_FRAC * n_rows):
        return ""
    return (
        f" The same passage {passage} stands in {n_same} of them, a template perhaps: where it does no harm, keep them "
        f"with prompts.keep_flags: [{flag}]."
    )
