"""Plain tars of one file, made and read as they pass: no more of one is in memory than the part at hand."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from runtime.errors import ProtocolError, Terminated

BLOCK: Final = tarfile.BLOCKSIZE
#: What stands before a file's own header: long names and large numbers.
_EXTRA_LIMIT: Final = 1024 * 1024
_EXTRAS: Final = (b"x", b"g", b"L", b"K")
_REGULAR: Final = (b"0", b"\0", b"7")


async def pack(
    data: AsyncIterator[bytes], *, name: str, size_bytes: int, mode: int, uid: int, gid: int, mtime: int
) -> AsyncGenerator[bytes, None]:
    """Yield a tar that holds ``data`` as the one regular file ``name``. Raises ``Terminated`` when it is not that long.

    The name stands behind "./": engines look at the first bytes of a tar to tell whether it is compressed, and
    "BZh" would pass for bzip2.
    """
    header = tarfile.TarInfo(f"./{name}")
    header.size, header.mode, header.uid, header.gid, header.mtime = size_bytes, mode, uid, gid, mtime
    yield header.tobuf(format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")
    sent = 0
    async for part in data:
        sent += len(part)
        if sent > size_bytes:
            raise Terminated(f"more came than the {size_bytes} bytes announced")
        yield part
    if sent != size_bytes:
        raise Terminated(f"{sent} of {size_bytes} bytes came")
    yield b"\0" * (-size_bytes % BLOCK + 2 * BLOCK)


async def unpack(tar: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the content of the one regular file that ``tar`` holds.

    Raises ``ProtocolError`` for anything else, ``Terminated`` for a tar that ends too early.
    """
    reader = _Reader(tar)
    announced: int | None = None
    while True:
        block = await reader.exactly(BLOCK)
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ProtocolError("the engine's tar has no header") from error
        if header.size < 0:
            raise ProtocolError("the engine's tar has a header that makes no sense")
        if header.type in _EXTRAS:
            if header.size > _EXTRA_LIMIT:
                raise ProtocolError("the engine's tar has a header without end")
            extra = await reader.exactly(header.size + -header.size % BLOCK)
            announced = _size_in(extra[: header.size]) if header.type == b"x" else announced
            continue
        if header.type not in _REGULAR:
            raise ProtocolError("the engine's tar holds something else than a file")
        break
    left = header.size if announced is None else announced
    while left:
        part = await reader.some(left)
        left -= len(part)
        yield part


def _size_in(extra: bytes) -> int | None:
    """Return the size that an extended header gives, which the old one has no room for."""
    rest = extra
    while rest:
        length, _space, _record = rest.partition(b" ")
        if not length.isdigit() or not 0 < int(length[:8]) <= len(rest):
            raise ProtocolError("the engine's tar has a broken header")
        key, _equals, value = rest[len(length) + 1 : int(length)].rstrip(b"\n").partition(b"=")
        if key == b"size":
            if not value.isdigit():
                raise ProtocolError("the engine's tar has a broken header")
            return int(value[:20])
        rest = rest[int(length) :]
    return None


class _Reader:
    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = aiter(parts)
        self._rest = b""

    async def some(self, limit: int) -> bytes:
        """Return at least one byte. Raises ``Terminated`` at the end."""
        if not self._rest:
            self._rest = await anext(self._parts, b"")
            if not self._rest:
                raise Terminated("the engine's tar ends before the file does")
        part, self._rest = self._rest[:limit], self._rest[limit:]
        return part

    async def exactly(self, size: int) -> bytes:
        """Return ``size`` bytes."""
        parts: list[bytes] = []
        while size:
            parts.append(await self.some(size))
            size -= len(parts[-1])
        return b"".join(parts)
