"""Exact copies and conflicting answers; nothing is dropped, and near-duplicates are left alone.

Two rows are compared by `ids.normalise_text`, which keeps punctuation and case: k > 0 and k < 0 are two problems. Most
near-duplicates in real sets are genuine variants with other answers, so they are not looked for.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from saerl_core.ids import normalise_text, prompt_id
from saerl_core.prompts.inspect import is_usable
from saerl_core.prompts.rows import Row, Suspicion, excerpt

_MAX_NAMED_ANSWERS = 4


@dataclass(frozen=True)
class Identity:
    """Who a row is among all rows."""

    prompt_id: str
    duplicate_of: str | None
    conflict: bool
    suspicions: tuple[Suspicion, ...]


def identify(rows: Sequence[Row]) -> list[Identity]:
    """Return the identity of each row, in the order of the rows.

    The first copy keeps the plain id; later ones get the suffix -2, -3 … and name it in `duplicate_of`. First is the
    one that stands first in the file, unless copies differ beyond the normalised text (spacing, level): then the
    cleanest is, so which one is kept does not depend on the order of the file. Where one prompt stands with several
    answers, all of its rows are in conflict, copies included.
    """
    ids = [prompt_id(row.prompt, row.answer) for row in rows]
    copies: dict[str, list[int]] = defaultdict(list)
    by_prompt: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        copies[ids[i]].append(i)
        by_prompt[normalise_text(row.prompt)].append(i)
    rank = {
        i: place
        for members in copies.values()
        for place, i in enumerate(sorted(members, key=lambda m: _content(rows[m])))
    }
    first = {ids[i]: i for i, place in rank.items() if place == 0}
    conflicts = {i: detail for members in by_prompt.values() for i, detail in _conflicts(members, rows, ids)}
    out = []
    for i in range(len(rows)):
        odd = []
        if rank[i]:
            odd.append(Suspicion("duplicate", f"same prompt and answer as line {rows[first[ids[i]]].line}"))
        if i in conflicts:
            odd.append(Suspicion("conflict", conflicts[i]))
        own_id = f"{ids[i]}-{rank[i] + 1}" if rank[i] else ids[i]
        out.append(Identity(own_id, ids[i] if rank[i] else None, i in conflicts, tuple(odd)))
    return out


def _content(row: Row) -> tuple[bool, int, int, str, str, str]:
    """Rank a copy by all that it says, the cleanest first; equal rows keep their file order, as sorting is stable."""
    flags = [s.flag for s in row.suspicions]
    rest = repr((row.topic, row.level, row.known_pass_rate, row.quality_label))
    return (not is_usable(flags), len(flags), len(row.prompt) + len(row.answer), row.prompt, row.answer, rest)


def _conflicts(members: list[int], rows: Sequence[Row], ids: list[str]) -> list[tuple[int, str]]:
    lines_of: dict[str, list[int]] = defaultdict(list)
    for i in members:
        lines_of[ids[i]].append(rows[i].line)
    if len(lines_of) == 1:
        return []
    answer_of = {ids[i]: rows[i].answer for i in members}
    named = [
        f"{excerpt(answer_of[key], 40)} (line {min(lines)})"
        for key, lines in sorted(lines_of.items(), key=lambda item: min(item[1]))
    ]
    more = f" and {len(named) - _MAX_NAMED_ANSWERS} more" if len(named) > _MAX_NAMED_ANSWERS else ""
    detail = f"the same prompt stands with {len(named)} answers: {', '.join(named[:_MAX_NAMED_ANSWERS])}{more}"
    return [(i, detail) for i in members]
