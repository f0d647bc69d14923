"""Small input files for the tests of this room."""

import gzip
import json
from pathlib import Path

from saerl_core.config.run import PromptsConfig
from saerl_core.prompts.load import load_prompts
from saerl_core.records import PromptSet


def row(number: int, **values: object) -> dict[str, object]:
    """A row with nothing odd about it."""
    return {
        "prompt": f"Kim has {number} apples and buys {number} more. How many now?",
        "answer": str(2 * number),
    } | values


def write_jsonl(path: Path, rows: list[dict[str, object]], *, ascii_only: bool = False) -> Path:
    text = "".join(json.dumps(r, ensure_ascii=ascii_only) + "\n" for r in rows)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def load(path: Path, **settings: object) -> PromptSet:
    return load_prompts(PromptsConfig(source="file", path=str(path), **settings), seed=0)


def issues(prompts: PromptSet) -> set[tuple[int, str, bool]]:
    frame = prompts.issues
    return set(zip(frame["line"], frame["reason"], frame["rejected"], strict=True))
