"""The run-time type checker that pytest puts on every function of saerl_core (see conftest.py)."""

from collections.abc import Callable
from typing import Any, get_args

from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int where a float is asked for, as in mypy


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check annotations at each call; a protocol has no run-time check and is left to mypy."""
    function.__annotations__ = {
        name: Any if _names_protocol(hint) else hint for name, hint in function.__annotations__.items()
    }
    return _check(function)


def _names_protocol(hint: object) -> bool:
    is_protocol = getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False)
    return is_protocol or any(_names_protocol(part) for part in get_args(hint))
