"""From checked rows, identities and matches to the declared tables."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from saerl_core.flags import is_usable
from saerl_core.prompts.decontaminate import Match
from saerl_core.prompts.duplicates import Identity
from saerl_core.prompts.rows import Issue, Row, Suspicion
from saerl_core.tables import ISSUES, MATCHES, PROMPTS

Marks = dict[int, tuple[float, Suspicion]]


def contamination_marks(matches: Iterable[Match]) -> Marks:
    """Return, by position in the pool, the largest coverage and the flag that names its evaluation item."""
    of_prompt: dict[int, list[Match]] = defaultdict(list)
    for match in matches:
        of_prompt[match.prompt_index].append(match)
    marks: Marks = {}
    for i, found in of_prompt.items():
        worst = max(found, key=lambda m: (m.coverage, m.exact, m.whole))
        kind = _kind(worst)
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        detail = f"{kind} {worst.item.eval_id} of {worst.item.benchmark}{more}"
        marks[i] = (worst.coverage, Suspicion("contaminated", detail))
    return marks


def _kind(match: Match) -> str:
    if match.exact:
        return "the same words as"
    return "all the words and signs of" if match.whole else f"{match.coverage:.0%} of the n-grams of"


def prompts_table(
    rows: Sequence[Row],
    identities: Sequence[Identity],
    marks: Marks,
    keep_flags: Collection[str] = (),
    licence: str | None = None,
) -> tuple[pd.DataFrame, list[Issue]]:
    """Return `tables.PROMPTS` in file order, and one issue for each flag of each row.

    `keep_flags`: flags that would make a row unusable, and shall not. `licence`: of rows that name none.
    """
    records: list[dict[str, object]] = []
    issues: list[Issue] = []
    for i, (row, identity) in enumerate(zip(rows, identities, strict=True)):
        coverage, mark = marks.get(i, (0.0, None))
        odd = [*row.suspicions, *identity.suspicions, *([mark] if mark else [])]
        flags = [s.flag for s in odd]
        issues += [Issue(row.file, row.line, s.flag, s.detail, rejected=False) for s in odd]
        records.append(
            {
                "prompt_id": identity.prompt_id,
                "prompt": row.prompt,
                "answer": row.answer,
                "source": row.source or row.file,
                "licence": row.licence or licence,
                "topic": row.topic,
                "level": row.level,
                "known_pass_rate": row.known_pass_rate,
                "quality_label": row.quality_label,
                "duplicate_of": identity.duplicate_of,
                "conflict": identity.conflict,
                "contamination": coverage,
                "flags": ",".join(flags),
                "usable": is_usable(flags, keep_flags),
                "truth": None,
            }
        )
    return PROMPTS.check(pd.DataFrame.from_records(records, columns=list(PROMPTS.columns))), issues


def mark_table(frame: pd.DataFrame, marks: Marks) -> pd.DataFrame:
    """Return a table of prompts with contamination, flag and usability set for the marked positions."""
    out = frame.copy()
    for i, (coverage, mark) in marks.items():
        flags = [f for f in str(out.at[i, "flags"]).split(",") if f]
        out.at[i, "contamination"] = coverage
        out.at[i, "flags"] = ",".join([*flags, mark.flag])
        out.at[i, "usable"] = False
    return PROMPTS.check(out)


def issues_table(issues: Iterable[Issue]) -> pd.DataFrame:
    """Return `tables.ISSUES`, ordered by file, then line, then the order in which they were found."""
    records = [(i.file, i.line, i.reason, i.detail, i.rejected) for i in issues]
    frame = pd.DataFrame.from_records(records, columns=list(ISSUES.columns))
    return ISSUES.check(frame.sort_values(["file", "line"], kind="stable")) if records else ISSUES.empty()


def matches_table(matches: Sequence[Match], prompts: pd.DataFrame) -> pd.DataFrame:
    """Return `tables.MATCHES`: largest coverage first, ties by prompt and item."""
    if not matches:
        return MATCHES.empty()
    records = [
        (
            prompts["prompt_id"].iat[m.prompt_index],
            m.item.benchmark,
            m.item.eval_id,
            m.coverage,
            m.exact,
            prompts["prompt"].iat[m.prompt_index],
            m.item.prompt,
        )
        for m in matches
    ]
    frame = pd.DataFrame.from_records(records, columns=list(MATCHES.columns))
    order = ["coverage", "prompt_id", "benchmark", "eval_id"]
    return MATCHES.check(frame.sort_values(order, ascending=[False, True, True, True], kind="stable"))
