"""What the folders of `deploy` say about an image: its Dockerfile, its lock, and what may enter its build."""

import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Instructions = list[tuple[str, str]]


def read_dockerfile(folder: Path) -> Instructions:
    """The instructions as (word, rest), lines joined and comments left out."""
    lines = [line for line in (folder / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def of(instructions: Instructions, word: str) -> list[str]:
    return [rest for found, rest in instructions if found == word]


def base_images(instructions: Instructions) -> list[str]:
    """The images that it starts from, with the defaults of its arguments in place."""
    defaults = dict(rest.split("=", 1) for rest in of(instructions, "ARG") if "=" in rest)
    return [re.sub(r"\$\{(\w+)\}", lambda m: defaults[m[1]], rest) for rest in of(instructions, "FROM")]


def read_lock(path: Path) -> dict[str, str]:
    """Version by package; a line that is no exact pin fails here."""
    pins = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert [p for p in pins if not re.fullmatch(r"[a-z0-9._-]+==[0-9][^\s;*]*", p)] == []
    return dict(p.split("==") for p in pins)


def rules(folder: Path) -> list[str]:
    lines = (folder / "Dockerfile.dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def enters(folder: Path, path: str) -> bool:
    """Whether a file of the repository enters the build: the last rule that fits it or a folder above it decides."""
    parts = path.split("/")
    above = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    found = True
    for rule in rules(folder):
        pattern = rule.removeprefix("!")
        names = parts if pattern.startswith("**/") else above
        if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
            found = rule.startswith("!")
    return found
