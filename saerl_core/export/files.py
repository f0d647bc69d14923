"""Small writers that the formats share."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import yaml


def write_jsonl(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_yaml(path: Path, settings: Mapping[str, object], comment: str) -> None:
    """Write settings in the order given, under a comment."""
    text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
    path.write_text(f"# {comment}\n{text}", encoding="utf-8")


def write_arguments(path: Path, arguments: Sequence[Sequence[str]], comment: str) -> None:
    """Write a shell file that sets the array PLAN_ARGS; `$PLAN_DIR` in a value is the folder of the file."""
    lines = ["    " + " ".join(_quoted(word) for word in words) for words in arguments]
    here = 'PLAN_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"'
    path.write_text("\n".join([f"# {comment}", here, "PLAN_ARGS=(", *lines, ")"]) + "\n", encoding="utf-8")


def copy_script(name: str, folder: Path) -> None:
    """Copy a script that stands in this room as `templates/<name>.txt`."""
    text = resources.files("saerl_core.export").joinpath("templates", f"{name}.txt").read_text(encoding="utf-8")
    (folder / name).write_text(text, encoding="utf-8")


def _quoted(word: str) -> str:
    return f'"{word}"' if word.startswith("$PLAN_DIR") else shlex.quote(word)
