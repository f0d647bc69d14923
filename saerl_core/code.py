"""Which source files a result depends on: what keys of caches and names of folders are made of."""

import ast
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from saerl_core.fingerprint import content_hash

CORE = Path(__file__).resolve().parent


def imported(starts: Collection[str], *, within: str, without: Collection[str] = (), root: Path = CORE) -> list[Path]:
    """Return the files of the modules and of all that they import inside `within`, in turn; `without` is not entered.

    Modules are named as in an import (`saerl_core.plan.build`); imports inside functions count. `root` is the folder
    of `saerl_core`.
    """
    found: dict[str, Path] = {}
    todo = list(starts)
    while todo:
        module = todo.pop()
        file = _file(module, root)
        if module in found or file is None:
            continue
        found[module] = file
        names = _imports(file.read_text(encoding="utf-8"))
        todo += [m for m in names if m.startswith(f"{within}.") and m not in without]
    return [found[module] for module in sorted(found)]


def code_hash(files: Collection[Path], root: Path = CORE) -> str:
    """Return a hash over files and folders of source below `root`, by place and content; the order does not matter."""
    return content_hash(*sorted(files), suffix=".py", below=root)


def _file(module: str, root: Path) -> Path | None:
    place = root.joinpath(*module.split(".")[1:])
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)


@lru_cache(maxsize=1024)  # a run asks several times about the same files
def _imports(source: str) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)
