r"""Values of a row by the name that a person writes: a column, a dotted path, or a template over several columns.

`answer` is a column; `reward_model.ground_truth` goes into nested columns, `conversation.-1.value` into lists; a name
with braces is a template: `"{body} {question}"`. A list of options becomes lines "A. …", "B. …" in a template.
"""

import json
import re
import string
from collections.abc import Mapping, Sequence

_LETTERED = re.compile(r"\s*\(?[A-Za-z]\s?[).:]")
_FIELD = re.compile(r"\{([^{}]+)\}")


class AbsentError(Exception):
    """A row does not have what a name asks for."""


def is_template(name: str) -> bool:
    """Tell whether a name is a template over several columns."""
    return _FIELD.search(name) is not None


def roots(name: str, present: Sequence[str]) -> list[str]:
    """Return the columns of a file that a name needs: itself, the beginning of its path, or those of its template."""
    paths = _FIELD.findall(name) if is_template(name) else [name]
    return [max((c for c in present if path == c or path.startswith(f"{c}.")), key=len, default=path) for path in paths]


def value_of(values: Mapping[str, object], name: str) -> object:
    """Return the value that a name stands for, None where it is absent or null; a template gives a text.

    A template whose columns are all absent is absent; one that lacks only some of them raises `AbsentError`.
    """
    if not is_template(name):
        return at_path(values, name)
    paths = _FIELD.findall(name)
    found = {path: at_path(values, path) for path in paths}
    missing = [path for path, value in found.items() if value is None or value == ""]
    if len(missing) == len(found):
        return None
    if missing:
        raise AbsentError(f"'{missing[0]}' of the template '{name}' is empty or missing")
    return _FIELD.sub(lambda m: _text(found[m[1]]), name)


def has(values: Mapping[str, object], name: str) -> bool:
    """Tell whether the row has the column, the path, or every column of the template; null counts as had."""
    paths = _FIELD.findall(name) if is_template(name) else [name]
    return all(_walk(values, path) is not _NOTHING for path in paths)


def at_path(values: Mapping[str, object], path: str) -> object:
    """Return the value at a dotted path, None where there is none; a column of exactly that name comes first."""
    found = _walk(values, path)
    return None if found is _NOTHING else found


_NOTHING = object()


def _parsed(text: str) -> object | None:
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def _walk(value: object, path: str) -> object:
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        for at in [i for i, c in enumerate(path) if c == "."]:  # a key may hold dots itself ("Qwen-1.5B")
            if path[:at] in value and (found := _walk(value[path[:at]], path[at + 1 :])) is not _NOTHING:
                return found
        return _NOTHING
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") and (parsed := _parsed(value)) is not None:
        return _walk(parsed, path)  # nested columns that were written out as JSON
    if isinstance(value, (list, tuple)):
        head, _, rest = path.partition(".")
        if re.fullmatch(r"-?\d+", head) and -len(value) <= int(head) < len(value):
            return _walk(value[int(head)], rest) if rest else value[int(head)]
    return _NOTHING


def _text(value: object) -> str:
    if isinstance(value, str) and value.lstrip().startswith("[") and isinstance(listed := _parsed(value), list):
        value = listed
    if isinstance(value, Mapping) and isinstance(
        value.get("text"), (list, tuple)
    ):  # ARC: {"text": [...], "label": [...]}
        return options_text(list(value["text"]), value.get("label"))
    if isinstance(value, Mapping) and all(len(str(key)) == 1 for key in value):  # {"A": ..., "B": ...}
        return options_text(list(value.values()), list(value))
    if isinstance(value, (list, tuple)):
        return options_text(list(value), None)
    return str(value).strip() if not isinstance(value, float) or not value.is_integer() else str(int(value))


def _keyed(option: object) -> tuple[str, str] | None:
    if not isinstance(option, Mapping):
        return None
    key = next((option[k] for k in ("key", "label", "id") if k in option), None)
    text = next((option[k] for k in ("value", "text", "content") if k in option), None)
    return None if key is None or text is None else (str(key), str(text))


def options_text(options: Sequence[object], labels: object) -> str:
    """Return options as lines with their letters; letters that stand in the texts already are kept."""
    keyed = [_keyed(option) for option in options]
    if keyed and all(pair is not None for pair in keyed):  # [{"key": "A", "value": "one"}]
        return "\n".join(f"{key}. {text}" for key, text in (pair for pair in keyed if pair is not None))
    texts = [str(option).strip() for option in options if option is not None]
    if all(_LETTERED.match(text) for text in texts):
        return "\n".join(texts)
    letters = (
        list(labels) if isinstance(labels, (list, tuple)) and len(labels) == len(texts) else string.ascii_uppercase
    )
    return "\n".join(f"{letter}. {text}" for letter, text in zip(letters, texts, strict=False))
