"""From a run file or plain parameters to a `RunConfig`; every problem of a file is told at once, in one message."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from saerl_core.config.run import RunConfig, StrategySettings
from saerl_core.errors import ConfigError
from saerl_core.plan.strategies import STRATEGIES
from saerl_core.plan.strategies.lookup import find

Scalar = str | int | float | bool

_BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "tuple": "a list",
    "model": "a section with settings of its own",
}


def load_config(path: str | Path | None = None, overrides: Mapping[str, object] | None = None) -> RunConfig:
    """Read a ZenML run file and validate what stands under its key `parameters`.

    Without a file the defaults are the configuration. Other top-level keys belong to ZenML and are not looked at.
    `overrides` win over the file; a key is a section (its mapping is merged) or a dotted path such as `plan.strategy`.
    Raises `ConfigError` for a file that cannot be read and for every problem that `validate` finds.
    """
    parameters = {} if path is None else _parameters(Path(path))
    return validate(overridden(parameters, overrides or {}))


def overridden(parameters: Mapping[str, object], overrides: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters with the overrides of `load_config` merged in, sections before their settings."""
    merged = dict(parameters)
    for key, value in sorted(overrides.items(), key=lambda item: item[0].count(".")):
        nested: object = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        merged = _merged(merged, cast(Mapping[str, object], nested))
    return merged


def validate(parameters: Mapping[str, object]) -> RunConfig:
    """Return the configuration, or raise one `ConfigError` that names for each problem field, value, bound, way out."""
    try:
        return RunConfig.model_validate(dict(parameters))
    except ValidationError as error:
        known = dict(_settings(_defaults(parameters)))
        problems = list(dict.fromkeys(line for detail in error.errors() for line in _told(detail, known)))
        if len(problems) == 1:
            raise ConfigError(problems[0]) from error
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise ConfigError(f"the configuration has {len(problems)} problems:{listed}") from error


def flatten(config: BaseModel, prefix: str = "") -> dict[str, Scalar]:
    """Return every setting by its dotted path ("plan.strategy": "saerl"), for MLflow parameters.

    A list becomes its values joined by commas (of sections their names), a mapping its keys; a setting that is not set
    becomes the text `none`. The strategy's name is `plan.strategy`, as in a run file that names nothing else of it.
    """
    flat: dict[str, Scalar] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(config, StrategySettings) and name == "name":
            flat[prefix.rstrip(".")] = value
        elif isinstance(value, BaseModel):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, tuple | dict):  # of environment variables the names only: a value may be a secret
            flat[prefix + name] = ",".join(str(getattr(v, "name", v)) for v in value)
        else:
            flat[prefix + name] = "none" if value is None else value
    return flat


def _parameters(path: Path) -> dict[str, object]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the run file {path} cannot be read ({error.strerror}); check the path") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"the run file {path} is not valid YAML: {_yaml_problem(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            f"the run file {path} holds {_shown(content)}; it must hold keys, with ours under 'parameters'"
        )
    for key in map(str, content):
        if key in RunConfig.model_fields:
            raise ConfigError(f"'{key}' stands at the top level of {path}; move it under the key 'parameters'")
        if key != "parameters" and difflib.get_close_matches(key, ["parameters"], cutoff=0.8):
            raise ConfigError(f"'{key}' stands at the top level of {path}; did you mean 'parameters'?")
    parameters = content.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise ConfigError(f"'parameters' of {path} is {_shown(parameters)}; it must hold sections such as 'plan'")
    return {str(key): value for key, value in parameters.items()}


def _yaml_problem(error: Exception) -> str:
    """Return place and problem of a YAML error; its own text quotes the file, where a secret may stand by mistake."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _merged(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, str) and isinstance(value, Mapping):  # `strategy: adaptive` and one of its settings
            old = {"name": old}
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(cast(Mapping[str, object], old), cast(Mapping[str, object], value)) if both else value
    return merged


def _told(detail: ErrorDetails, known: Mapping[str, object]) -> list[str]:
    """Tell one error of pydantic; the combinations of `config.checks` come as one error with a line each.

    `known` holds every setting by its path, with its default.
    """
    loc, kind, context = list(detail["loc"]), detail["type"], detail.get("ctx", {})
    if kind == "missing" and isinstance(loc[-1], int):  # an item of a list that is too short; the input is the list
        loc.pop()
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    if kind == "value_error":
        lines = str(context["error"]).split("\n")
        return [f"{path}: {line}" if path and not line.startswith(f"{path}.") else line for line in lines]
    if kind == "missing" and isinstance(loc[-1], str) and isinstance(detail["input"], Mapping):
        if path == "plan.strategy.name":
            return [
                f"{path} is not set; name the strategy whose settings these are: plan.strategy: {{name: adaptive, ...}}"
            ]
        return [f"{path} is not set and has no default; set it"]
    if kind in ("extra_forbidden", "invalid_key"):
        return [_unknown(path, known)]
    default = known.get(_in_any_item(path))
    if isinstance(default, StrategySettings):
        default = default.name
    wrong, bound = _wrong(kind, context, default, detail["input"])
    way_out = "" if default is None or isinstance(default, BaseModel) else f"; leave it out for {_shown(default)}"
    if path == "plan.strategy.name":  # a section of settings must say whose they are
        way_out = ""
    # a variable of the trainer's environment may be a secret
    given = "(not shown)" if path.startswith("training.openrlhf.env") else _shown(detail["input"])
    return [f"{path} = {given} {wrong}: it must {bound}{way_out}"]


def _wrong(kind: str, context: Mapping[str, object], default: object, given: object) -> tuple[str, str]:
    """Return what is wrong and the bound, in words."""
    if kind in ("missing", "too_long") and isinstance(default, tuple):
        return "has the wrong length", f"list {len(default)} values"
    if kind == "string_pattern_mismatch":
        return "has the wrong form", f"match {context['pattern']}"
    for name, words in _BOUNDS.items():
        if name in context:
            return "is out of range", f"be {words} {context[name]}"
    if kind == "literal_error":
        expected = str(context["expected"])
        near = difflib.get_close_matches(str(given).lower(), re.findall(r"'([^']*)'", expected), n=1)
        return "is not known" + (f" (did you mean '{near[0]}'?)" if near else ""), f"be {expected}"
    wanted = _KINDS.get(kind.split("_", maxsplit=1)[0], "")
    return "has the wrong type", f"be {wanted}" if wanted else "be as saerl_core/config.py declares it"


def _unknown(path: str, known: Mapping[str, object]) -> str:
    """Name the setting that was probably meant: the same name in another section, else a sibling spelt alike."""
    parent, _, name = path.rpartition(".")
    sections = _in_any_item(parent)
    siblings = [p.rpartition(".")[2] for p in known if p.rpartition(".")[0] == sections]
    near = difflib.get_close_matches(name, siblings, n=1, cutoff=0.6)
    elsewhere = [p for p in known if p.rpartition(".")[2] == name and "[" not in p]
    meant = elsewhere[0] if elsewhere else f"{parent}.{near[0]}".lstrip(".") if near else None
    if meant:
        return f"{path} is not a setting; did you mean {meant}?"
    if path == "plan.online":
        return "plan.online is not a setting any more; its settings stand under plan.strategy, beside the name"
    readers = [row.name for row in STRATEGIES.values() if name in row.settings.model_fields]
    if parent in ("plan", "plan.strategy") and readers:
        return (
            f"{path} is not a setting of the strategy in use; {' and '.join(map(repr, readers))} "
            f"{'reads' if len(readers) == 1 else 'read'} it: plan.strategy: {{name: {readers[0]}, {name}: ...}}"
        )
    return (
        f"{path} is not a setting; {f'section {parent!r}' if parent else 'the configuration'} has {', '.join(siblings)}"
    )


def _settings(section: BaseModel | None = None, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every section and setting by its dotted path, with its default; of a list of sections under `name[]`."""
    section = section or RunConfig()
    for name, field in type(section).model_fields.items():
        value = getattr(section, name, None)  # what an item of a list must set has no default
        yield prefix + name, value
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{prefix}{name}.")
        for item in get_args(field.annotation):
            if isinstance(item, type) and issubclass(item, BaseModel):
                yield from _settings(item.model_construct(), f"{prefix}{name}[].")


def _defaults(parameters: Mapping[str, object]) -> RunConfig:
    """Return the defaults, with those of the strategy that the parameters name where there is such a one."""
    default, plan = RunConfig(), parameters.get("plan")
    given = plan.get("strategy") if isinstance(plan, Mapping) else None
    name = given.get("name") if isinstance(given, Mapping) else given
    try:
        strategy = find(str(name)).settings.model_construct(name=name)
    except ConfigError:  # there is no such strategy, or it cannot be loaded: told elsewhere
        return default
    return default.model_copy(update={"plan": default.plan.model_copy(update={"strategy": strategy})})


def _in_any_item(path: str) -> str:
    return re.sub(r"\[\d+\]", "[]", path)


def _shown(value: object) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 80 else text[:77] + "..."
