"""Single settings from a command line, `section.key=value`, typed by the configuration."""

import re
from collections.abc import Iterable

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError

_DECIMAL = re.compile(r"[-+]?(0|[1-9][\d_]*)?(\.\d*)?([eE][-+]?\d+)?")
_NULL = ("null", "Null", "NULL", "~")


def read_settings(texts: Iterable[str]) -> dict[str, object]:
    """Return the settings by their dotted paths, for `load_config`; the last of one path counts.

    A value is read as in a run file, `[a, b]` and `null` included; where the setting is a text, it is taken as it is
    written, so that "####", "no" or "42" need no quotes within quotes. Whether it is a good value, `validate` says.

    Raises:
        ConfigError: a text is not of the form `section.key=value`.
    """
    return dict(_setting(text) for text in texts)


def _setting(text: str) -> tuple[str, object]:
    path, equals, value = text.partition("=")
    path = path.strip()
    parts = path.split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set {text!r} is not of the form section.key=value, such as --set plan.n_steps=20")
    if parts[0] == "parameters" and len(parts) > 1:
        raise ConfigError(f"--set {text!r} begins with 'parameters.'; leave that out: --set {text[11:]}")
    return path, _typed(parts, value.strip())


def _typed(path: list[str], text: str) -> object:
    try:
        value: object = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if value is None and text not in _NULL:  # empty, or a comment: "####"
        return text
    if isinstance(value, int | float) and not isinstance(value, bool) and not _DECIMAL.fullmatch(text):
        return text  # YAML reads 010 as 8 and 1:30 as 90
    kind = _kind(path)
    return value if kind is None or _is(kind, value) or not _is(kind, text) else text


def _kind(path: list[str]) -> object | None:
    """Return the type of a setting, its bounds apart; None where there is no such setting, or others know its type."""
    section: object = RunConfig
    for part in path:
        if not (isinstance(section, type) and issubclass(section, BaseModel)) or part not in section.model_fields:
            return None
        section = section.model_fields[part].annotation
    return section


def _is(kind: object, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True
