"""Copies and conflicting answers; nothing is dropped, and near-duplicates are left alone.

Two prompts are the same where `folding.spelled` makes one text of them, which keeps punctuation and case: k > 0 and
k < 0 are two problems. Two answers are the same where their spelling is, or where the grader says so. Most
near-duplicates in real sets are genuine variants with other answers, so they are not looked for.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from saerl_core.flags import is_usable
from saerl_core.ids import prompt_id
from saerl_core.prompts.folding import spelled
from saerl_core.prompts.rows import Row, Suspicion, excerpt
from saerl_core.protocols import AnswerComparison

_MAX_NAMED_ANSWERS = 4
_MAX_COMPARED = 12  # answers of one prompt; with more they are a conflict, and no reason to ask 100 times

Key = tuple[str, str]  # prompt and answer, each in one spelling


@dataclass(frozen=True)
class Identity:
    """Who a row is among all rows."""

    prompt_id: str
    duplicate_of: str | None
    conflict: bool
    suspicions: tuple[Suspicion, ...]


def identify(rows: Sequence[Row], same_answers: AnswerComparison | None = None) -> list[Identity]:
    """Return the identity of each row, in the order of the rows.

    The cleanest of all copies is kept, and the others name it in `duplicate_of`; equal ones keep the order of the file,
    so which is kept depends on that order only where nothing tells them apart. A row keeps the id of its own text;
    where several rows have one id, the later ones get the suffix -2, -3 … Where one prompt stands with several
    answers, all of its rows are in conflict, copies included. `same_answers` is asked about answers that differ in
    spelling; what it cannot tell is a conflict.
    """
    ids = [prompt_id(row.prompt, row.answer) for row in rows]
    keys = [(spelled(row.prompt), spelled(row.answer)) for row in rows]
    one_answer = _merged(keys, rows, same_answers)
    copies: dict[Key, list[int]] = defaultdict(list)
    by_prompt: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        copies[one_answer.get(key, key)].append(i)
        by_prompt[key[0]].append(i)
    place: dict[int, int] = {}
    first: dict[int, int] = {}
    for members in copies.values():
        seen: dict[str, int] = defaultdict(int)
        ranked = sorted(members, key=lambda m: _content(rows[m]))
        for i in ranked:
            place[i], first[i] = seen[ids[i]], ranked[0]
            seen[ids[i]] += 1
    conflicts: dict[int, str] = {}
    for members in by_prompt.values():
        if len(members) > 1:
            conflicts |= _conflicts(members, rows, [first[i] for i in members])
    return [_identity(i, rows, ids, place[i], first[i], conflicts.get(i)) for i in range(len(rows))]


def _identity(
    i: int, rows: Sequence[Row], ids: Sequence[str], place: int, first: int, conflict: str | None
) -> Identity:
    odd = []
    if i != first:
        same = "same" if ids[i] == ids[first] else "in other spelling the same"
        odd.append(Suspicion("duplicate", f"{same} prompt and answer as line {rows[first].line}"))
    if conflict is not None:
        odd.append(Suspicion("conflict", conflict))
    own_id = f"{ids[i]}-{place + 1}" if place else ids[i]
    return Identity(own_id, ids[first] if i != first else None, conflict is not None, tuple(odd))


def _content(row: Row) -> tuple[bool, int, int, str, str, str]:
    """Rank a copy by all that it says, the cleanest first; equal rows keep their file order, as sorting is stable."""
    flags = [s.flag for s in row.suspicions]
    rest = repr((row.topic, row.level, row.known_pass_rate, row.quality_label))
    return (not is_usable(flags), len(flags), len(row.prompt) + len(row.answer), row.prompt, row.answer, rest)


def _conflicts(members: list[int], rows: Sequence[Row], firsts: list[int]) -> dict[int, str]:
    """Return, for the rows of one prompt, what its several answers are; nothing where there is one."""
    lines_of: dict[int, list[int]] = defaultdict(list)
    for i, first in zip(members, firsts, strict=True):
        lines_of[first].append(rows[i].line)
    if len(lines_of) == 1:
        return {}
    named = [
        f"{excerpt(rows[first].answer, 40)} (line {min(lines)})"
        for first, lines in sorted(lines_of.items(), key=lambda item: min(item[1]))
    ]
    more = f" and {len(named) - _MAX_NAMED_ANSWERS} more" if len(named) > _MAX_NAMED_ANSWERS else ""
    detail = f"the same prompt stands with {len(named)} answers: {', '.join(named[:_MAX_NAMED_ANSWERS])}{more}"
    return dict.fromkeys(members, detail)


def _merged(keys: Sequence[Key], rows: Sequence[Row], same_answers: AnswerComparison | None) -> dict[Key, Key]:
    """Map each key to the one that stands for it, where the comparison finds answers of one prompt equal."""
    if same_answers is None:
        return {}
    answers: dict[str, dict[str, str]] = defaultdict(dict)  # prompt -> spelling of an answer -> the answer
    for (prompt, spelling), row in zip(keys, rows, strict=True):
        known = answers[prompt].setdefault(spelling, row.answer)
        answers[prompt][spelling] = min(known, row.answer, key=lambda text: (len(text), text))
    open_pairs = [
        (prompt, *sorted(pair))
        for prompt, of in answers.items()
        if 1 < len(of) <= _MAX_COMPARED
        for pair in combinations(sorted(of), 2)
    ]
    if not open_pairs:
        return {}
    asked = list(dict.fromkeys((answers[p][x], answers[p][y]) for p, a, b in open_pairs for x, y in ((a, b), (b, a))))
    verdict = dict(zip(asked, same_answers(asked), strict=True))
    same = {
        (p, a, b)
        for p, a, b in open_pairs
        if verdict[answers[p][a], answers[p][b]] and verdict[answers[p][b], answers[p][a]]
    }
    return {key: stands_for for p, of in answers.items() for key, stands_for in _classes(p, sorted(of), same)}


def _classes(prompt: str, spellings: list[str], same: set[tuple[str, str, str]]) -> list[tuple[Key, Key]]:
    """Join answers that equal each other without exception: 50 % equals .5 and 50, which are two answers."""
    classes: list[list[str]] = []
    for spelling in spellings:
        fitting = (c for c in classes if all((prompt, *sorted((known, spelling))) in same for known in c))
        found = next(fitting, None)
        if found is None:
            classes.append([spelling])
        else:
            found.append(spelling)
    return [((prompt, spelling), (prompt, members[0])) for members in classes for spelling in members]
