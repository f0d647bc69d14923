"""The code that makes a strategy's plan, without that of the other strategies."""

from importlib.util import find_spec
from pathlib import Path

from saerl_core.code import CORE, code_hash, imported
from saerl_core.plan.strategies import STRATEGIES
from saerl_core.plan.strategies.lookup import find, package_of

_ROOM = "saerl_core.plan"
_TABLES = {f"{_ROOM}.strategies", f"{_ROOM}.strategies.lookup", f"{_ROOM}.code"}  # they name all, and decide nothing


def strategy_files(name: str, root: Path = CORE) -> list[Path]:
    """Return the files of the plan room that a strategy's plan and curriculum depend on."""
    own = find(name).module
    others = {row.module for row in STRATEGIES.values()} - {own}
    starts = (f"{_ROOM}.build", f"{_ROOM}.curriculum", own)
    return imported(starts if name in STRATEGIES else starts[:2], within=_ROOM, without=others | _TABLES, root=root)


def strategy_code(name: str, root: Path = CORE) -> str:
    """Return a hash over the code of a strategy: another strategy's file changes nothing.

    Of a strategy of another package the package's version counts too, and every file of it that the strategy imports.
    """
    core = code_hash(strategy_files(name, root), root)
    return core if name in STRATEGIES else f"{core}-{_foreign_code(name)}"


def _foreign_code(name: str) -> str:
    module, package = find(name).module, str(package_of(name)).replace(" ", "-")
    top = module.split(".", maxsplit=1)[0]
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        return package  # a namespace without files of its own
    origin = Path(spec.origin)
    root = origin.parent if origin.name == "__init__.py" else origin.with_suffix("")
    return f"{package}-{code_hash(imported([module], within=top, root=root), root.parent)}"
