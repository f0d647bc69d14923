"""The reference of all settings, docs/settings.md, read from the configuration itself and its comments."""

import ast
import inspect
import io
import json
import re
import tokenize
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from saerl_core.config.base import Section
from saerl_core.config.run import RunConfig
from saerl_core.plan.strategies.base import StrategySettings

_HEAD = """\
# Settings

All settings of a run file, with their defaults. They stand under `parameters:`, and a file holds only what differs.
Of a single strategy: [strategies.md](strategies.md). How to choose sizes: [choosing_sizes.md](choosing_sizes.md).

This page is written by `python -m pipelines settings --write` from [`saerl_core/config/`](../saerl_core/config).
"""
_WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", NoneType: "null"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def settings_page() -> str:
    """Return docs/settings.md: a table a section, with name, kind, default and what the comment beside it says."""
    return _HEAD + "".join(_tables(RunConfig, ""))


def _tables(section: type[BaseModel], path: str) -> Iterator[str]:
    """Yield the section's own table, then those of the sections inside it."""
    hints, comments = get_type_hints(section, include_extras=True), _comments(section)
    rows, inside = [], []
    for name, field in section.model_fields.items():
        inner = _section_in(hints[name])
        if inner is None:
            cells = (f"`{name}`", _kind(hints[name]), _default(field), comments.get(name, ""))
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
        else:
            many = "" if hints[name] is inner else "[]"
            inside.append((inner, f"{path}.{name}{many}".lstrip(".")))
    if path:
        level = "#" * (2 + path.count("."))
        yield f"\n{level} `{path}`\n\n{_first_paragraph(section)}\n"
    if rows:
        yield "\n| setting | what it takes | default | meaning |\n|---|---|---|---|\n" + "".join(rows)
    for inner, where in inside:
        yield from _tables(inner, where)


def _section_in(hint: object) -> type[BaseModel] | None:
    """Return the section that a setting is, or lists; None for a value and for a strategy."""
    for kind in (hint, *get_args(hint)):
        if isinstance(kind, type) and issubclass(kind, Section) and not issubclass(kind, StrategySettings):
            return kind
    return None


def _kind(hint: object) -> str:
    """Say in words what a setting takes."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        if inspect.isclass(args[0]) and issubclass(args[0], StrategySettings):
            return "name of a strategy, or a section with `name` and its settings"
        return _bounded(_kind(args[0]), args[1:])
    if origin in (Literal, Union, UnionType):
        return " or ".join(f"`{value}`" if origin is Literal else _kind(value) for value in args)
    if origin is tuple:
        return f"list: {_kind(args[0])}" if args[-1] is Ellipsis else f"list of {len(args)}: {_kind(args[0])}"
    if origin is dict:
        return "mapping"
    return _WORDS[hint] if isinstance(hint, type) else str(hint)


def _bounded(kind: str, metadata: tuple[object, ...]) -> str:
    """Add the bounds that pydantic checks."""
    given = [part for item in metadata if isinstance(item, FieldInfo) for part in item.metadata]
    bounds = [f"{words} {getattr(b, sign):,.10g}" for b in given for sign, words in _SIGNS.items() if hasattr(b, sign)]
    return f"{kind} {', '.join(bounds)}" if bounds else kind


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, StrategySettings):
        value = value.model_dump()["name"]
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def _first_paragraph(section: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(section.__doc__ or "").split("\n\n")[0].split())


def _comments(section: type[BaseModel]) -> dict[str, str]:
    """Return by field what the source says of it: the comment lines above it, and the one at its end."""
    source = inspect.getsource(section)
    said = {
        token.start[0]: (token.string[1:].split("# noqa")[0].strip(), token.line.lstrip().startswith("#"))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith("# noqa")
    }
    found = {}
    body = ast.parse(source).body[0]
    for node in body.body if isinstance(body, ast.ClassDef) else []:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        lines = [said[node.end_lineno or node.lineno][0]] if (node.end_lineno or node.lineno) in said else []
        above = node.lineno - 1
        while above in said and said[above][1]:
            lines.insert(0, said[above][0])
            above -= 1
        found[node.target.id] = re.sub(r"\bNone\b", "null", " ".join(line for line in lines if line))
    return found
