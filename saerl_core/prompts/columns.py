"""From a file's own columns and types to one checked row, or to the reason why the row is rejected.

Reasons of this module, all rejected: `missing_prompt`, `empty_prompt`, `non_text_prompt`, `missing_answer`,
`empty_answer`, `unsupported_answer`, `lone_surrogate`. Its flags are listed in `inspect`.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from saerl_core.config.run import ColumnMap
from saerl_core.errors import DataError
from saerl_core.invisible import without_invisible
from saerl_core.prompts.beside import left_out, rate_column
from saerl_core.prompts.fields import AbsentError, at_path, has, is_template, value_of
from saerl_core.prompts.inspect import PROOF, SWALLOWED, inspect_pair
from saerl_core.prompts.invisible import clean_answer
from saerl_core.prompts.messages import (
    has_image,
    looks_like_messages,
    parse_literal,
    parse_text,
    prompt_of,
    read_messages,
    reply_of,
)
from saerl_core.prompts.options import letter_of_index, options_column
from saerl_core.prompts.rows import (
    POOL_SETTINGS,
    AbsentColumnError,
    Issue,
    RawRow,
    RejectedError,
    Row,
    Settings,
    Suspicion,
    excerpt,
)

_EXACT_FLOAT = 2.0**53  # above this a float no longer holds every integer
_LIST_OF_TEXTS = re.compile(r"""\s*\[\s*(['"]).*\1\s*,?\s*\]\s*\Z""", re.DOTALL)  # "[1, 2]" may be an answer itself
_LICENCE, OTHER_LICENCE = "license", "licence"  # the default of the column, and its other spelling
_LEVEL_WORD = re.compile(r"\s*level\s+", re.IGNORECASE)  # "Level 3" is how the MATH files write a level


def check_columns(
    columns: ColumnMap,
    seen: Iterable[str],
    file: str,
    settings: Settings = POOL_SETTINGS,
    found: Iterable[str] = (),
    written: Collection[str] | None = None,
) -> None:
    """Raise `DataError` where no row has the prompt or answer column, or an optional one that a person renamed.

    An optional column under its default name may be absent: then no row has that value; so may one that a layout names
    (`written` holds the fields that a person named, None: all). `found` are the paths and templates that some row has,
    beside the columns `seen`.
    """
    present, paths = sorted(set(seen)), set(found)
    for field, default in dict(ColumnMap()).items():
        name = getattr(columns, field)
        renamed = name is not None and name != default and (written is None or field in written)
        needed = field in ("prompt", "answer") or renamed
        if not needed or name in present or name in paths:
            continue
        if is_template(name):
            raise DataError(
                f"no row of '{file}' has all columns of the template '{name}' ({settings.columns}.{field}); it has "
                f"{present}: name some of these in braces"
            )
        raise AbsentColumnError(
            f"'{file}' has no column '{name}' ({settings.columns}.{field}); it has {present}: map one of these"
        )


def found_paths(values: Mapping[str, object], columns: ColumnMap) -> set[str]:
    """Return the names of the mapping that are paths or templates and that the row has."""
    names = {name for name in dict(columns).values() if name is not None and name not in values}
    return {name for name in names if has(values, name)}


def to_row(raw: RawRow, columns: ColumnMap, file: str) -> Row | Issue:
    """Return the row with typed values, or the issue that rejects it.

    An answer that is no text becomes text where that says the same (27.0 is "27") and is flagged; nothing is guessed.
    """
    odd = list(raw.suspicions)
    try:
        prompt = prompt_text(raw, columns.prompt, odd)
        answer = _answer_text(raw, columns.answer, prompt, odd)
        answer = letter_of_index(raw, columns, answer, odd)
    except RejectedError as rejected:
        return Issue(file, raw.line, rejected.reason, rejected.detail)
    odd += left_out(raw, columns)
    odd += inspect_pair(prompt, answer, columns.prompt, options_column(raw, columns))
    return Row(
        file=file,
        line=raw.line,
        prompt=prompt,
        answer=answer,
        topic=_topic(raw, columns.topic),
        level=_level(raw, columns.level, odd),
        known_pass_rate=_share(raw, rate_column(raw, columns), "unreadable_pass_rate", odd),
        quality_label=_share(raw, columns.quality, "unreadable_quality", odd),
        source=_words(raw, columns.source),
        licence=_words(raw, columns.licence) or _words(raw, OTHER_LICENCE if columns.licence == _LICENCE else None),
        suspicions=tuple(odd),
    )


def prompt_only(raw: RawRow, names: Iterable[str], file: str) -> tuple[str, Issue | None]:
    """Return the text of the first of the columns that the row has (for evaluation items, which need no answer)."""
    name = next((n for n in names if has(raw.values, n)), next(iter(names)))
    try:
        return prompt_text(raw, name, []), None
    except RejectedError as rejected:
        return "", Issue(file, raw.line, rejected.reason, rejected.detail)


def prompt_text(raw: RawRow, name: str, odd: list[Suspicion]) -> str:
    """Return the prompt as it stands in the row, or the question of its chat messages; `odd` takes what is unusual."""
    try:
        value = value_of(raw.values, name)
    except AbsentError as error:
        raise RejectedError("missing_prompt", str(error)) from error
    if value is None:
        raise RejectedError("missing_prompt", f"the row has no value in column '{name}'; it has {sorted(raw.values)}")
    value = _unwrapped(value, name, odd)
    if not isinstance(value, str):
        detail = f"column '{name}' holds a {type(value).__name__}, not a text: {excerpt(str(value))}"
        raise RejectedError("non_text_prompt", detail)
    if not without_invisible(value).strip():
        raise RejectedError("empty_prompt", f"column '{name}' is empty")
    _refuse_surrogates(value, name)
    return value


def _unwrapped(value: object, name: str, odd: list[Suspicion]) -> object:
    """Return the text of chat messages, or of a list of one text; any other value as it is."""
    if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], str):
        odd.append(Suspicion("unwrapped_prompt", "the only element of a list is taken"))
        value = value[0]
    if isinstance(value, Mapping) and read_messages([value]) is not None:
        value = [value]
    spelled = parse_text(value) if isinstance(value, str) else None
    if spelled is None and isinstance(value, str) and looks_like_messages(value):
        detail = f"column '{name}' holds chat messages as text that is neither JSON nor Python: {excerpt(value)}"
        raise RejectedError("non_text_prompt", detail)
    turns = value if spelled is None else spelled
    messages = read_messages(turns)
    if messages is not None:
        if spelled is not None:
            odd.append(
                Suspicion("unwrapped_prompt", f"column '{name}' spells out chat messages: {excerpt(str(value))}")
            )
        value, more = prompt_of(messages)
        odd += more
        if has_image(turns):
            odd.append(Suspicion("missing_image", "a turn of the conversation holds an image"))
    return value


def _answer_text(raw: RawRow, name: str, prompt: str, odd: list[Suspicion]) -> str:
    value = value_of(raw.values, name)
    messages = read_messages(value)
    if isinstance(value, Mapping) and len(value) == 1:  # {"value": "5"}
        value = next((value[key] for key in ("value", "answer", "ground_truth", "target") if key in value), value)
    if messages is not None:
        value = reply_of(messages) or None
    elif isinstance(value, str) and _LIST_OF_TEXTS.match(value):
        spelled = parse_literal(value)
        value = spelled if isinstance(spelled, list) else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise RejectedError("missing_answer", f"the row has no value in column '{name}'{_proof_hint(prompt)}")
    text, removed = clean_answer(_as_text(value, name, odd))
    # the form feed that is left of \frac at the very beginning counts as white space for strip()
    stripped = text.strip(" ") if SWALLOWED.search(text) else text.strip()
    if not stripped:
        raise RejectedError("empty_answer", f"column '{name}' is empty{_proof_hint(prompt)}")
    _refuse_surrogates(stripped, name)
    if removed is not None:
        odd.append(Suspicion("invisible_character", removed))
    if stripped != text:
        odd.append(Suspicion("answer_whitespace", f"white space around the answer removed: {excerpt(text)}"))
    return stripped


def _proof_hint(prompt: str) -> str:
    return "; the prompt asks for a proof, which has none" if PROOF.search(prompt) else ""


def _refuse_surrogates(text: str, name: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        detail = f"column '{name}' holds half a character ({text[error.start]!r}) at position {error.start}"
        raise RejectedError("lone_surrogate", detail) from error


def _as_text(value: object, name: str, odd: list[Suspicion]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return _list_text(list(value), name, odd)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        detail = f"column '{name}' holds a {type(value).__name__}, not a text or number: {excerpt(str(value))}"
        raise RejectedError("unsupported_answer", detail)
    text = _number_text(value, name, odd)
    odd.append(Suspicion("numeric_answer", f"the {type(value).__name__} {value!s:.80} is read as '{text:.80}'"))
    return text


def _number_text(value: int | float | Decimal, name: str, odd: list[Suspicion]) -> str:
    if isinstance(value, int):
        try:
            return str(value)
        except ValueError as error:  # Python's limit on the digits of an integer
            raise RejectedError("unsupported_answer", f"column '{name}': {error}") from error
    if not math.isfinite(value):
        raise RejectedError("unsupported_answer", f"column '{name}' holds {value}, which is no number")
    if isinstance(value, Decimal):
        return str(int(value)) if value == int(value) else f"{value:f}"
    if abs(value) >= _EXACT_FLOAT:
        odd.append(Suspicion("imprecise_answer", f"the float {value!r} no longer holds every digit of the answer"))
        return repr(value)
    return str(int(value)) if value.is_integer() else repr(value)


def _list_text(values: list[object], name: str, odd: list[Suspicion]) -> str:
    if any(isinstance(v, (list, tuple)) for v in values):
        raise RejectedError("unsupported_answer", f"column '{name}' holds a list of lists: {excerpt(str(values))}")
    if not values:
        raise RejectedError("empty_answer", f"column '{name}' holds an empty list")
    texts = [_as_text(v, name, odd) if v is not None else "" for v in values]
    if len(texts) == 1:
        odd.append(Suspicion("unwrapped_answer", f"the only element of a list is taken: {excerpt(texts[0])}"))
        return texts[0]
    joined = ", ".join(texts)
    odd.append(Suspicion("list_answer", f"{len(texts)} answers in a list, joined here: {excerpt(joined)}"))
    return joined


def _topic(raw: RawRow, name: str | None) -> str | None:
    value = at_path(raw.values, name) if name is not None else None
    if isinstance(value, (list, tuple)):
        value = "; ".join(str(v) for v in value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).encode("utf-8", errors="replace").decode().strip()
    return text or None


def _words(raw: RawRow, name: str | None) -> str | None:
    """Return what a row says of itself in a column of words: one text, or several joined; None for anything else."""
    value = at_path(raw.values, name) if name is not None else None
    words = value if isinstance(value, list | tuple) else [value]
    texts = [" ".join(w.encode("utf-8", errors="replace").decode().split()) for w in words if isinstance(w, str)]
    return ", ".join(text for text in texts if text) or None


def _level(raw: RawRow, name: str | None, odd: list[Suspicion]) -> float | None:
    value = at_path(raw.values, name) if name is not None else None
    if _is_absent(value):
        return None
    number = _number(value)
    if number is None:
        odd.append(Suspicion("unreadable_level", f"column '{name}' holds {excerpt(str(value))}, which is no number"))
    return number


def _share(raw: RawRow, name: str | None, flag: str, odd: list[Suspicion]) -> float | None:
    value = at_path(raw.values, name) if name is not None else None
    if _is_absent(value):
        return None
    number = _number(value)
    if number is None or not 0.0 <= number <= 1.0:
        odd.append(Suspicion(flag, f"column '{name}' holds {excerpt(str(value))}, which is no number in [0, 1]"))
        return None
    return number


def _is_absent(value: object) -> bool:
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    try:
        number = float(_LEVEL_WORD.sub("", value, count=1) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
