"""Find a strategy by its name: in the table, or in a package that registers it under `saerl.strategies`."""

import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from saerl_core.errors import ConfigError
from saerl_core.plan.strategies import STRATEGIES
from saerl_core.plan.strategies.base import (
    SIGNALS,
    OnlineSettings,
    OnlineStrategy,
    StaticStrategy,
    Strategy,
    StrategySettings,
)

_REGISTERED: dict[str, Strategy] = {}  # of this process, by `register`
GROUP = "saerl.strategies"  # an entry point: name = "package.module:STRATEGY", the object a row as in the table


@runtime_checkable
class Entry(Protocol):
    """An entry point: that of the standard library, or of its backport, which takes over once it is imported."""

    @property
    def name(self) -> str:
        """Name under which the object is registered."""
        ...

    @property
    def value(self) -> str:
        """Where the object is: module and attribute."""
        ...

    @property
    def dist(self) -> Any:  # noqa: ANN401 (of either library)
        """The package, None where nobody knows."""
        ...

    def load(self) -> Any:  # noqa: ANN401 (whatever stands there)
        """Import and return the object."""
        ...


def known_names() -> tuple[str, ...]:
    """Return the names of all strategies; nothing of another package is imported."""
    others = sorted(entry.name for entry in _registered(tuple(sys.path)))
    return tuple(dict.fromkeys([*STRATEGIES, *_REGISTERED, *others]))


def register(row: Strategy) -> None:
    """Make a strategy known in this process, without a package; the same name again replaces it.

    Raises:
        ConfigError: the object is no row of the table, or has the name of one of saerl's own.
    """
    name = getattr(getattr(row, "settings", None), "model_fields", {}).get("name")
    name = str(getattr(name, "default", ""))
    problem = _problem(row, name)
    if problem:
        raise ConfigError(f"strategy '{name}' {problem}; see docs/strategies.md")
    if name in STRATEGIES:
        raise ConfigError(f"strategy '{name}' is one of saerl's own; give yours another name")
    _REGISTERED[name] = row


def find(name: str) -> Strategy:
    """Return the row of a strategy; `ConfigError` for a name that is not known, taken twice or cannot be loaded."""
    others = {(e.value, _package(e)): e for e in _named(name)}  # a path may be listed twice
    packages = sorted(package for _, package in others)
    if others and name in STRATEGIES:
        raise ConfigError(
            f"strategy '{name}' is one of saerl's own, and {' and '.join(packages)} registers the name again; rename "
            "it there, or uninstall the package"
        )
    if name in STRATEGIES:
        return STRATEGIES[name]
    if name in _REGISTERED:
        return _REGISTERED[name]
    if not others:
        raise ConfigError(f"strategy '{name}' is not known; there is {', '.join(known_names())}")
    if len(others) > 1:
        raise ConfigError(f"strategy '{name}' is registered by {' and '.join(packages)}; uninstall all but one")
    return _loaded(next(iter(others.values())))


def rests_on_labels(settings: StrategySettings) -> bool:
    """Tell whether a strategy goes by the difficulty, which is learnt from rollouts where the data bring no labels."""
    row = STRATEGIES.get(settings.name) or find(settings.name)
    reads = {"difficulty", "calibrated"} & set(row.signals)
    return bool(reads) and bool(getattr(settings, "use_difficulty", True))


def package_of(name: str) -> str | None:
    """Return name and version of the package that registers a strategy; None for one of the table."""
    return next((_package(entry) for entry in _named(name)), None)


def settings_of(given: object) -> StrategySettings:
    """Read what stands under `plan.strategy`: a name, or a section with a name and settings of that strategy."""
    if isinstance(given, StrategySettings):
        return given.model_copy(update={"name": given.name})  # a name that is a default would be left out of a dump
    if isinstance(given, Mapping):
        if "name" not in given:
            raise _refused("missing", ("name",), given)
        return _settings(given["name"], given, ("name",))
    return _settings(given, {}, ())


def _settings(name: object, own: Mapping[str, object], where: tuple[str, ...]) -> StrategySettings:
    """Validate settings by the class of the strategy; `where` is the place of the name below `plan.strategy`."""
    if not isinstance(name, str) or (name not in STRATEGIES and name not in known_names()):
        *names, last = map(repr, known_names())
        expected = f"{', '.join(names)} or {last}"
        error = PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        raise _refused(error, where, name)
    settings: StrategySettings = find(name).settings.model_validate({**own, "name": name})
    return settings


def _refused(error: str | PydanticCustomError, where: tuple[str, ...], given: object) -> ValidationError:
    return ValidationError.from_exception_data("strategy", [InitErrorDetails(type=error, loc=where, input=given)])


def _loaded(entry: Entry) -> Strategy:
    who = f"strategy '{entry.name}' ({entry.value} of {_package(entry)})"
    try:
        row = entry.load()
    except Exception as error:  # foreign code may raise anything while it is imported
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError(
            f"{who} cannot be imported: {what}; mend or reinstall the package, or take another strategy"
        ) from error
    problem = _problem(row, entry.name)
    if problem:
        raise ConfigError(f"{who} {problem}; see docs/strategies.md")
    found: Strategy = row
    return found


def _problem(row: object, name: str) -> str | None:
    """Say why an object is no row of the table."""
    if not isinstance(row, StaticStrategy | OnlineStrategy):
        return f"is a {type(row).__name__}, and must be a StaticStrategy or an OnlineStrategy"
    base = OnlineSettings if row.is_online else StrategySettings
    if not (isinstance(row.settings, type) and issubclass(row.settings, base)):
        return f"has settings that are no {base.__name__}"
    if row.name != name:
        return f"has settings whose `name` is {row.name!r} by default, and must be '{name}'"
    unknown = [signal for signal in row.signals if signal not in SIGNALS]
    if unknown:
        return f"asks for the signal '{unknown[0]}', and there is {', '.join(SIGNALS)}"
    return None


def _named(name: str) -> list[Entry]:
    return [entry for entry in _registered(tuple(sys.path)) if entry.name == name]


@lru_cache(maxsize=1)
def _registered(path: tuple[str, ...]) -> tuple[Entry, ...]:
    """Return the entry points of other packages on `sys.path`: Python reads a file of every installed package."""
    return tuple(entry_points(group=GROUP))


def _package(entry: Entry) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"
