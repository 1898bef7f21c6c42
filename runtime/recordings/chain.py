"""The proof that a recording is whole: a chain of hashes beside it, and its check.

``<name>.chain`` has one line for each stretch of bytes that was written: where it ends, and SHA-256 of the hash before
it and the stretch. The last line of a recording that was closed says ``end``, which its hash covers. The first hash
follows 32 zero bytes.

The chain finds what was damaged. It does not stop somebody who can write both files and computes it anew: for that, the
last hash is kept elsewhere, and the check compares it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

START: Final = bytes(32)
END: Final = b"end"
_PART: Final = 1024 * 1024
#: A line of the chain is never longer.
_LINE: Final = 200


def chain_path(path: Path) -> Path:
    """Return where the chain of the recording at ``path`` is."""
    return path.with_name(path.name + ".chain")


def chain_line(end: int, digest: bytes, *, is_last: bool) -> bytes:
    """Return one line of the chain."""
    return b"%d %s%s\n" % (end, digest.hex().encode(), b" " + END if is_last else b"")


def is_closed(path: Path) -> bool:
    """Whether the writer of the recording at ``path`` ended it; nothing is proved by that."""
    try:
        with chain_path(path).open("rb") as chain:
            chain.seek(0, 2)
            chain.seek(max(0, chain.tell() - _LINE))
            return chain.read().endswith(b" " + END + b"\n")
    except OSError:
        return False


class FaultKind(StrEnum):
    """What is wrong with a recording."""

    #: Some of its bytes are not those that were written.
    CHANGED = "changed"
    #: Bytes that were written are gone.
    CUT = "cut"
    #: The chain itself is no longer what was written.
    CHAIN = "chain"
    #: Recording and chain fit, but they are not those whose head is kept elsewhere.
    HEAD = "head"
    #: A file is not there, or cannot be read.
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first fault that was found: between which bytes."""

    kind: FaultKind
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found."""

    #: Bytes that the chain covers; what a crash left behind them is not proved.
    proved_bytes: int
    size_bytes: int
    head: str
    #: Whether it was closed; one that was not ends where its writer died.
    complete: bool
    fault: Fault | None = None


def verify(path: Path, *, head: str | None = None) -> Verdict:
    """Read a recording and its chain; ``head`` is the last hash, where it is kept elsewhere."""
    try:
        size = path.stat().st_size
        with path.open("rb") as content, chain_path(path).open("rb") as chain:
            digest, position, complete = START, 0, False
            fault: Fault | None = None
            while line := chain.readline(_LINE):
                if not line.endswith(b"\n"):
                    break  # the writer died here
                words = line.split()
                stretch = _stretch(words)
                if stretch is None or stretch[0] < position or complete:
                    fault = fault or Fault(kind=FaultKind.CHAIN, start=position, end=position)
                    break
                end, told, is_last = stretch
                if end > size:
                    fault = fault or Fault(kind=FaultKind.CUT, start=size, end=end)
                    break
                found = hashlib.sha256(digest)
                remaining = end - position
                while remaining and (part := content.read(min(_PART, remaining))):
                    found.update(part)
                    remaining -= len(part)
                if is_last:
                    found.update(END)
                digest = found.digest()
                if digest != told:
                    fault = fault or Fault(kind=FaultKind.CHANGED, start=position, end=end)
                elif fault is not None:
                    # The bytes lead to a later hash: then it was the earlier line that was changed.
                    fault = Fault(kind=FaultKind.CHAIN, start=fault.start, end=fault.end)
                position, complete = end, is_last
    except OSError:
        return Verdict(proved_bytes=0, size_bytes=0, head="", complete=False, fault=Fault(kind=FaultKind.MISSING))
    if fault is None and complete and size > position:
        fault = Fault(kind=FaultKind.CHANGED, start=position, end=size)
    if fault is None and head is not None and digest.hex() != head:
        fault = Fault(kind=FaultKind.HEAD, start=0, end=size)
    return Verdict(
        proved_bytes=fault.start if fault else position,
        size_bytes=size,
        head=digest.hex(),
        complete=complete and fault is None,
        fault=fault,
    )


def _stretch(words: list[bytes]) -> tuple[int, bytes, bool] | None:
    """Return where a stretch ends, its hash and whether it is the last; ``None`` when the line says none of that."""
    if len(words) not in (2, 3) or words[2:] not in ([], [END]) or not words[0].isdigit() or len(words[1]) != 64:
        return None
    try:
        return int(words[0]), bytes.fromhex(words[1].decode("ascii")), len(words) == 3
    except ValueError:
        return None
