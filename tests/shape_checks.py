"""The run-time type checker that pytest puts on every function of saerl_core (see conftest.py)."""

import dataclasses
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeException
from jaxtyping import AbstractArray, TypeCheckError, install_import_hook
from jaxtyping._import_hook import Typechecker

# an int where a float is asked for, as in mypy
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_check_quickly = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeCheckError))
_with_shapes = jaxtyping.jaxtyped


def install() -> None:
    """Check from here on every function of saerl_core at each call.

    jaxtyping checks parameters twice and binds them once more, to compare the shapes of several arrays. A function
    whose annotations name no array gets beartype alone, which takes a small part of that time.
    """
    jaxtyping.jaxtyped = _jaxtyped
    install_import_hook("saerl_core", f"{__name__}.checked")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check annotations at each call; a protocol has no run-time check and is left to mypy."""
    function.__annotations__ = {
        name: Any if _names_protocol(hint) else hint for name, hint in function.__annotations__.items()
    }
    return _check(function)


def _jaxtyped(*function: Any, **settings: Any) -> Any:
    """Stand in for `jaxtyping.jaxtyped`, as which the import hook decorates every function and class."""
    if function or settings.get("typechecker") not in Typechecker.lookup.values():
        return _with_shapes(*function, **settings)
    return lambda found: _decorated(found, _with_shapes(**settings))


def _decorated(found: Any, with_shapes: Callable[[Any], Any]) -> Any:
    if isinstance(found, staticmethod | classmethod):
        return type(found)(_decorated(found.__func__, with_shapes))
    if inspect.isclass(found) and dataclasses.is_dataclass(found) and "__init__" in vars(found):
        found.__init__ = _decorated(found.__init__, with_shapes)
        return found
    if isinstance(found, FunctionType):
        hints = _hints_without_arrays(found)
        if hints is not None:
            given, found.__annotations__ = found.__annotations__, hints
            try:
                return _check_quickly(found)
            except BeartypeException:
                found.__annotations__ = given
    return with_shapes(found)


def _hints_without_arrays(function: FunctionType) -> dict[str, Any] | None:
    """Return the annotations with their names looked up; None where one names an array, or is not known yet."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001 - as jaxtyping does it: under TYPE_CHECKING, or of a class that is being made
        return None
    if any(_names_array(hint) for hint in hints.values()):
        return None
    return {name: Any if _names_protocol(hint) else hint for name, hint in hints.items()}


def _names_array(hint: object) -> bool:
    is_array = inspect.isclass(hint) and issubclass(hint, AbstractArray)
    return is_array or any(_names_array(part) for part in get_args(hint))


def _names_protocol(hint: object) -> bool:
    is_protocol = getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False)
    return is_protocol or any(_names_protocol(part) for part in get_args(hint))
