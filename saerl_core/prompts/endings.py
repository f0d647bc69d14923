r"""The answer at the end of a worked solution: behind a marker, in the last box, or between tags.

One reason for a rejection: `no_answer_marker` (the answer's column lacks what `answer_after` names).
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from saerl_core.latex import last_box
from saerl_core.prompts.fields import at_path, is_template, value_of
from saerl_core.prompts.layouts import IN_A_BOX, IN_THE_END
from saerl_core.prompts.messages import read_messages, reply_of
from saerl_core.prompts.rows import Issue, RawRow, excerpt

FINAL_ANSWER = "(final answer)"  # the column of what was found: the prompt may stand in the solution's (chat messages)
_SHORT_CHARS = 60
_SHORT_WORDS = 4  # more are a sentence
_SAID = re.compile(r"answer is:?\s*(.+?)\.?\s*$", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)


def final_answers(marker: str, column: str, raws: Iterator[RawRow | Issue], file: str) -> Iterator[RawRow | Issue]:
    r"""Put the final answer in place of a worked solution; reject a row without one.

    `marker`: the text in front of the answer, or `\boxed` for the last box, or "auto" for whatever of these there is.
    """
    for raw in raws:
        if isinstance(raw, Issue):
            yield raw
            continue
        text = _solution(raw, column)
        if text is None:  # a number, or nothing
            yield replace(raw, values={**raw.values, FINAL_ANSWER: value_of(raw.values, column)})
            continue
        answer = _ending(text, marker)
        if answer is not None:
            yield replace(raw, values={**raw.values, FINAL_ANSWER: answer})
        else:
            what = {IN_THE_END: "no #### and no box", IN_A_BOX: "no \\boxed{...}"}.get(marker, f"no {marker!r}")
            detail = f"column '{column}' has {what} (answer_after): {excerpt(text)}"
            yield Issue(file, raw.line, "no_answer_marker", detail)


def _solution(raw: RawRow, column: str) -> str | None:
    value = at_path(raw.values, column) if not is_template(column) else None
    messages = read_messages(value)
    if messages is not None:
        return reply_of(messages) or None
    return value if isinstance(value, str) else None


def _ending(text: str, marker: str) -> str | None:
    if marker == IN_A_BOX:
        return last_box(text)
    if marker != IN_THE_END:
        _, found, answer = text.rpartition(marker)
        return _first_line(answer) if found else None
    if "####" in text:
        return _first_line(text.rpartition("####")[2])
    tags = _TAG.findall(text)
    if tags:
        text = str(tags[-1]).strip()
    box = last_box(text)
    if box is not None:
        return box
    said = _SAID.findall(text)
    if said:
        return str(said[-1]).strip()
    short = text.strip()
    is_short = 0 < len(short) <= _SHORT_CHARS and "\n" not in short and len(short.split()) <= _SHORT_WORDS
    return short if is_short else None


def _first_line(text: str) -> str:
    """Return the first line with something on it: a solution may go on behind its answer."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
