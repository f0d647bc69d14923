"""Fingerprints of input files, so that a cached stage notices that its input has changed."""

import hashlib
from pathlib import Path

from saerl_core.config import PromptsConfig


def fingerprint(*paths: str | None) -> str:
    """Return a hash over the contents of files and folders (recursively, with names); missing paths count as such.

    Folders may hold gigabytes of weights: files above 64 MiB enter with size and modification time instead.
    """
    digest = hashlib.sha256()
    for path in paths:
        if path is None:
            continue
        root = Path(path)
        files = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]
        for file in files:
            digest.update(f"{file.name}\0".encode())
            digest.update(_content(file))
    return digest.hexdigest()[:16]


def prompts_fingerprint(config: PromptsConfig) -> str:
    """Return the fingerprint of all files that a prompts section names."""
    return fingerprint(config.path, config.eval_path, *config.decontaminate_against)


def _content(file: Path) -> bytes:
    if not file.is_file():
        return b"missing"
    stat = file.stat()
    if stat.st_size > 64 * 2**20:
        return f"{stat.st_size}:{stat.st_mtime_ns}".encode()
    return hashlib.sha256(file.read_bytes()).digest()
