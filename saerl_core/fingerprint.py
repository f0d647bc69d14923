"""Fingerprints of input files, so that a cached stage notices that its input has changed."""

import hashlib
from pathlib import Path


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


def content_hash(*paths: Path, suffix: str = "", below: Path | None = None) -> str:
    """Return a hash over every byte of files and folders, with names below each path; the same on every machine.

    Slower than `fingerprint`, which trusts the modification time of large files: a fresh clone changes all of them.
    A path that does not exist counts as such. `suffix` keeps only the files of a folder that end so; with `below` the
    names are those below that folder.
    """
    digest = hashlib.sha256()
    for path in paths:
        found = sorted(p for p in path.rglob(f"*{suffix}") if p.is_file()) if path.is_dir() else [path]
        for file in found:
            digest.update(f"{file.relative_to(below or path.parent).as_posix()}\0".encode())
            if not file.is_file():
                digest.update(b"missing")
                continue
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _content(file: Path) -> bytes:
    if not file.is_file():
        return b"missing"
    stat = file.stat()
    if stat.st_size > 64 * 2**20:
        return f"{stat.st_size}:{stat.st_mtime_ns}".encode()
    return hashlib.sha256(file.read_bytes()).digest()
