"""Remembering what was prepared from what, so that the second start does none of it again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest(*texts: str, files: Iterable[Path] = (), listings: Iterable[Path] = ()) -> str:
    """Return a fingerprint of texts, of files' contents, and of the names, sizes and times of files."""
    fingerprint = hashlib.sha256()
    for text in texts:
        fingerprint.update(text.encode() + b"\0")
    for path in sorted(files):
        fingerprint.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for path in sorted(listings):
        found = path.stat()
        fingerprint.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    return fingerprint.hexdigest()


def is_fresh(stamp: Path, fingerprint: str) -> bool:
    """Whether the step that writes this stamp was done with the same inputs."""
    try:
        return stamp.read_text() == fingerprint
    except OSError:
        return False
